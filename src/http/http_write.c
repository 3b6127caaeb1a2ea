/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_write.h"

#include <stdio.h>
#include <time.h>

#include "http/http_internal.h"

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {529, "Overloaded"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Unknown";
}

void http_write_status(struct buf *b, int status)
{
    CHECK(status >= 100 && status <= 599);
    if (status == 200) {
        buf_put(b, SPAN("HTTP/1.1 200 OK\r\n"));
        return;
    }
    buf_put(b, SPAN("HTTP/1.1 "));
    buf_put_u64(b, (uint64_t)status);
    buf_put_byte(b, ' ');
    buf_put_text(b, http_reason(status));
    buf_put(b, SPAN("\r\n"));
}

void http_write_request(struct buf *b, enum http_method method, struct span target)
{
    if (target.len == 0 || http_class_end(target, HTTP_IS_QUERY) != target.len) {
        b->failed = true;
        return;
    }
    buf_put(b, http_method_text(method));
    buf_put_byte(b, ' ');
    buf_put(b, target);
    buf_put(b, SPAN(" HTTP/1.1\r\n"));
}

void http_write_field(struct buf *b, struct span name, struct span value)
{
    if (name.len == 0 || http_class_end(name, HTTP_IS_TOKEN) != name.len ||
        http_text_end(value.at, 0, value.len) != value.len) {
        b->failed = true;
        return;
    }
    uint8_t *to = buf_reserve(b, name.len + value.len + 4);
    if (to == NULL) {
        return;
    }
    memcpy(to, name.at, name.len);
    to += name.len;
    *to++ = ':';
    *to++ = ' ';
    if (value.len > 0) {
        memcpy(to, value.at, value.len);
        to += value.len;
    }
    *to++ = '\r';
    *to = '\n';
    buf_added(b, name.len + value.len + 4);
}

void http_write_number(struct buf *b, struct span name, uint64_t value)
{
    uint8_t digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    http_write_field(b, name, (struct span){digits + at, sizeof(digits) - at});
}

void http_write_end(struct buf *b)
{
    buf_put(b, SPAN("\r\n"));
}

void http_date(wall_us at, char out[HTTP_DATE_BYTES])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(at.us / 1000000);
    struct tm t;
    CHECK(gmtime_r(&seconds, &t) != NULL);
    char text[64];
    (void)snprintf(text, sizeof(text), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                   days + (size_t)t.tm_wday * 3, t.tm_mday, months + (size_t)t.tm_mon * 3,
                   t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec); /* fits: fixed widths */
    memcpy(out, text, HTTP_DATE_BYTES - 1);
    out[HTTP_DATE_BYTES - 1] = '\0';
}
