/* SPDX-License-Identifier: Apache-2.0 */
/* What a request for a key may ask: whose it is, its role, from where it may be used. */
#include "admin/admin_internal.h"
#include "base/slots.h"
#include "keys/keys_change.h"

static enum err refuse_role(const struct admin_operation *op)
{
    return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("role"),
                           "'role' is an admin key's alone: leave it out");
}

/* ---- whose key it may be, and who may touch it ---- */

/* Whether the caller may make, change or end a key of this kind and role. */
enum err admin_key_judge_role(const struct admin_operation *op, uint8_t kind, uint8_t role)
{
    enum key_role judged = role < KEY_ROLES ? (enum key_role)role : KEY_ROLE_OWNER; /* damaged */
    return kind != KEY_ADMIN || admin_right_gives(&op->request->right, judged)
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_SCOPE_DENIED, SPAN("role"),
                                 "only an owner may make, change or end the keys of owners and "
                                 "admins");
}

/* The role of a new admin key, less what is left out: who is on the machine makes an owner. */
static enum err choose_role(const struct admin_operation *op, const struct admin_key *asked,
                            struct span team, uint8_t *role)
{
    if (asked->role == 0 && !op->request->right.is_local) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_MISSING, SPAN("role"),
                               "'role' is missing: an admin key needs one");
    }
    *role = (uint8_t)(asked->role == 0 ? KEY_ROLE_OWNER : asked->role - 1);
    if (*role == KEY_ROLE_DEVELOPER && team.len == 0) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_MISSING, SPAN("team"),
                               "'team' is missing: a developer reads the own team's things alone");
    }
    return admin_key_judge_role(op, KEY_ADMIN, *role);
}

/* The team of a new key: who is bound to one makes keys of that one. */
static enum err choose_team(const struct admin_operation *op, struct span asked, struct span *out)
{
    enum err e = admin_resolve(op, DIRECTORY_TEAM, asked, "team", SLOTS_NONE, out);
    if (op->caller_team.len == 0) {
        return e;
    }
    bool is_own = asked.len == 0 || (e == ERR_OK && admin_sees(op, *out));
    *out = op->caller_team;
    return is_own ? ERR_OK
                  : admin_fault_say(&op->answer->fault, ERR_SCOPE_DENIED, SPAN("team"),
                                    "'team' must be your own team's id, or be left out");
}

static bool is_gone(const struct admin_operation *op, enum directory_kind kind, struct span id)
{
    const struct directory *d = access_directory(op->rights);
    uint32_t slot = directory_slot(d, kind, id);
    return slot != SLOTS_NONE && directory_has_ended(directory_find(d, kind, slot), op->now);
}

/* Nothing new is made of what has ended. */
static enum err refuse_ended(const struct admin_operation *op, const char *member)
{
    return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, span_of(member),
                           "'%s' has ended: take another", member);
}

/* Its user is of its team. */
static enum err choose_user(const struct admin_operation *op, struct span asked,
                            struct key_wish *wish)
{
    const struct directory *d = access_directory(op->rights);
    uint32_t team = directory_slot(d, DIRECTORY_TEAM, wish->team);
    enum err e = admin_resolve(op, DIRECTORY_USER, asked, "user", team, &wish->user);
    if (e != ERR_OK || wish->user.len == 0) {
        return e;
    }
    const struct directory_entry *user =
        directory_find(d, DIRECTORY_USER, directory_slot(d, DIRECTORY_USER, wish->user));
    if (wish->team.len == 0) { /* the user says it */
        wish->team = span_of(directory_find(d, DIRECTORY_TEAM, user->team)->id);
        return ERR_OK;
    }
    return user->team == team ? ERR_OK
                              : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("user"),
                                                "'user' is not of that team");
}

static enum err check_networks(const struct admin_operation *op, struct span lines)
{
    while (lines.len > 0) {
        struct net_network network;
        struct span line = span_cut(lines, 0, span_find(lines, '\n', 0));
        enum net_network_text parsed = net_network_parse(line, &network);
        if (parsed != NET_NETWORK_GOOD) {
            return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("ip_allowlist"),
                                   "'ip_allowlist': '%.*s' %s", SPAN_ARGS(line),
                                   net_network_problem(parsed));
        }
        lines = span_cut(lines, line.len + 1, lines.len);
    }
    return ERR_OK;
}

/* Whether the row has room for it. */
static enum err check_grant(const struct admin_operation *op, const struct key_grant_texts *grant)
{
    const struct {
        struct span text;
        const char *member;
        size_t most;
    } rows[] = {{grant->models, "models", KEY_MODELS_MAX},
                {grant->networks, "ip_allowlist", KEY_NETWORKS_BYTES_MAX},
                {grant->tags, "tags", KEY_TAGS_MAX}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].text.len > rows[i].most) {
            return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, span_of(rows[i].member),
                                   "'%s' may have %zu bytes in all, and these have %zu",
                                   rows[i].member, rows[i].most, rows[i].text.len);
        }
    }
    return check_networks(op, grant->networks);
}

/* Another plan is other limits. */
static enum err judge_plan(const struct admin_operation *op)
{
    return admin_right_has(&op->request->right, ADMIN_SCOPE_MONEY_WRITE)
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_SCOPE_DENIED, SPAN("plan"),
                                 "the admin key may not give plans: it lacks the scope '%s'",
                                 admin_scope_word(ADMIN_SCOPE_MONEY_WRITE));
}

static enum err check_owners(const struct admin_operation *op, const struct key_wish *wish)
{
    return is_gone(op, DIRECTORY_TEAM, wish->team)   ? refuse_ended(op, "team")
           : is_gone(op, DIRECTORY_USER, wish->user) ? refuse_ended(op, "user")
                                                     : ERR_OK;
}

struct key_grant_texts admin_key_grant(const struct admin_key *asked)
{
    return (struct key_grant_texts){asked->models, asked->ip_allowlist, asked->tags,
                                    asked->local_only ? KEY_HOME : SPAN("")};
}

enum err admin_key_wish(const struct admin_operation *op, const struct admin_key *asked,
                        struct key_wish *wish)
{
    wish->grant = admin_key_grant(asked);
    enum err e = choose_team(op, asked->team, &wish->team);
    if (e == ERR_OK) {
        e = choose_user(op, asked->user, wish);
    }
    if (e == ERR_OK) {
        e = admin_give(op, DIRECTORY_PLAN, asked->plan, "plan", &wish->plan);
    }
    if (e == ERR_OK && wish->plan.len > 0) {
        e = judge_plan(op);
    }
    if (e == ERR_OK) {
        e = check_owners(op, wish);
    }
    if (e == ERR_OK && wish->kind == KEY_ADMIN) {
        e = choose_role(op, asked, wish->team, &wish->role);
    } else if (e == ERR_OK && asked->role != 0) {
        e = refuse_role(op);
    }
    e = e == ERR_OK ? check_grant(op, &wish->grant) : e;
    e = e == ERR_OK ? admin_tags_judge(op, SPAN(""), wish->grant.tags) : e;
    const struct store_key key = {
        .team = wish->team, .user = wish->user, .plan = wish->plan, .tags = wish->grant.tags};
    return e == ERR_OK ? admin_key_judge_room(op, &key, asked->limits.tokens_per_day) : e;
}

enum err admin_key_change_wish(const struct admin_operation *op, const struct admin_key *asked,
                               struct key_change *change)
{
    enum err e = check_grant(op, &change->grant);
    e = e == ERR_OK && change->has_plan ? judge_plan(op) : e;
    return e == ERR_OK ? admin_give(op, DIRECTORY_PLAN, asked->plan, "plan", &change->plan) : e;
}

/* The role that a key shall have from now on; null takes none away. */
enum err admin_key_judge_new_role(const struct admin_operation *op, const struct store_key *key,
                                  int asked)
{
    if (key->kind != KEY_ADMIN) {
        return asked == 0 ? ERR_OK : refuse_role(op);
    }
    if (asked == 0) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("role"),
                               "'role' cannot be null: an admin key has one");
    }
    if (asked - 1 == KEY_ROLE_DEVELOPER && key->team.len == 0) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("role"),
                               "'role' can be developer where the key has a team alone");
    }
    return admin_key_judge_role(op, KEY_ADMIN, (uint8_t)(asked - 1));
}

/* ---- keys of other gateways ---- */

static int digit_of(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool read_digest(struct span hex, uint8_t out[CRYPTO_SHA256_BYTES])
{
    bool is_hex = hex.len == 2 * CRYPTO_SHA256_BYTES;
    for (size_t i = 0; is_hex && i < CRYPTO_SHA256_BYTES; i++) {
        int high = digit_of(hex.at[2 * i]);
        int low = digit_of(hex.at[2 * i + 1]);
        is_hex = high >= 0 && low >= 0;
        out[i] = (uint8_t)(is_hex ? high << 4 | low : 0);
    }
    return is_hex;
}

enum err admin_key_take_over(const struct admin_operation *op, const struct admin_key *asked,
                             struct key_wish *wish, uint8_t digest[CRYPTO_SHA256_BYTES])
{
    if (asked->sha256.len == 0) {
        return ERR_OK;
    }
    if (!read_digest(asked->sha256, digest)) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("sha256"),
                               "'sha256' must be 64 hexadecimal digits");
    }
    if (wish->kind == KEY_ADMIN) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("sha256"),
                               "'sha256' is for live and test keys: an admin key is made here");
    }
    wish->digest = digest;
    return ERR_OK;
}
