# SPDX-License-Identifier: Apache-2.0
"""What stands around values in prompts: of banks, clinics, telecoms, ministries, shops and developers, in English, Arabic as it is
written and as it is spoken, and both mixed. `{}` is where a value stands, `{n}` a name, `{w}` a number that is none of ours."""

LANGS = ("en", "ar", "mix")

NAMES = {
    "en": ["Khalid Alharbi", "Noura Alqahtani", "Ahmed Hassan", "Sara Khan", "David Miller", "Fatima Almansoori", "Rahul Sharma", "Layla Haddad",
           "Mr. Aldosari", "the patient", "our tenant", "the applicant", "Eng. Tariq", "Dr. Mona"],
    "ar": ["خالد الحربي", "نورة القحطاني", "أحمد حسن", "سارة خان", "فاطمة المنصوري", "محمد العتيبي", "ليلى حداد", "الأستاذ الدوسري", "المريض",
           "المستأجر", "مقدم الطلب", "م. طارق", "د. منى", "أم عبدالله"],
}
NAMES["mix"] = NAMES["ar"] + NAMES["en"][:4]

OPEN = {
    "en": ["", "", "", "Hi, ", "Please help: ", "Summarise this for the branch manager. ", "Draft a polite reply to this customer. ", "Translate to Arabic: ",
           "You are a support agent of a bank. ", "Ticket from yesterday: ", "Write an e-mail to HR about this. ", "Note to file: ", "Extract the fields as JSON. ",
           "The complaint reads as follows. ", "From the clinic's form: ", "As discussed with {n}, "],
    "ar": ["", "", "", "السلام عليكم، ", "لو سمحت ", "لخص هذه الشكوى لمدير الفرع. ", "اكتب ردًا مهذبًا لهذا العميل. ", "ترجم إلى الإنجليزية: ",
           "أنت موظف خدمة عملاء في بنك. ", "بلاغ من أمس: ", "ابغى تكتب لي رسالة للموارد البشرية. ", "ملاحظة للملف: ", "استخرج البيانات بصيغة جدول. ",
           "يا ليت تساعدني، ", "عايز أبعت الكلام ده للبنك: ", "شلونك، أبي مساعدة. ", "بحسب كلام {n}، "],
    "mix": ["", "", "Hi, ", "لو سمحت ", "Please ساعدني: ", "لخص الـ ticket هذا. ", "Summarise بالعربي: ", "اكتب email للـ HR. ", "ترجم this text: "],
}

CLOSE = {
    "en": ["", "", "", " Thanks.", " Please confirm.", " What should we answer?", " Keep it under 100 words.", " The branch closes at 4 pm.", " He has waited for 3 weeks.",
           " Nothing else has changed since 2019.", " Use a formal tone."],
    "ar": ["", "", "", " شكرًا.", " الرجاء التأكيد.", " وش نرد عليه؟", " لا تتجاوز ١٠٠ كلمة.", " الفرع يقفل الساعة ٤ العصر.", " صار له ٣ أسابيع ينتظر.",
           " استخدم أسلوبًا رسميًا.", " وجزاك الله خير."],
    "mix": ["", "", " شكرًا.", " Thanks.", " وش نرد؟", " ASAP لو سمحت.", " please بسرعة."],
}

# A word says what the value is.
KEYED = {
    "email": {"en": ["Send the invoice to {}", "my e-mail is {}", "Contact {n} at {}", "the account {} cannot log in", "reply-to: {}", "cc {} on this", "({})", "{}"],
              "ar": ["أرسل الفاتورة إلى {}", "بريدي الإلكتروني {}", "تواصل مع {n} على {}", "ايميلي هو {}", "الحساب {} لا يفتح", "ابعتلي على {}", "البريد: {}"],
              "mix": ["ابعت على الـ email {}", "الـ e-mail حق {n} هو {}", "send it على {}", "حسابي {} ما يفتح"]},
    "phone": {"en": ["Call me on {}", "mobile: {}", "{n}'s phone number is {}", "WhatsApp {}", "he left his number, {}, with the nurse", "Tel. {}", "text {} when it ships",
                     "my old SIM {} was cut off"],
              "ar": ["اتصل علي {}", "رقم الجوال {}", "جوال {n}: {}", "واتساب {}", "موبايلي {}", "هاتف {}", "كلمني على {}", "الشريحة {} انقطعت", "رقم التواصل {}"],
              "mix": ["رقم الـ mobile هو {}", "call {n} على {}", "الـ WhatsApp حقي {}", "contact number: {} للتواصل"]},
    "credit_card": {"en": ["my card {} was charged twice", "card number: {}", "Visa {} declined", "pay with {} please", "block the card {} at once", "the credit card ends here: {}"],
                    "ar": ["بطاقتي {} خصمت مرتين", "رقم البطاقة {}", "أوقفوا البطاقة {} فورًا", "بطاقة مدى {}", "ادفع بالفيزا {}", "رقم الكارت {}"],
                    "mix": ["الـ card حقتي {} مو شغالة", "رقم الـ credit card {}", "my بطاقة {} declined"]},
    "iban": {"en": ["transfer it to {}", "IBAN: {}", "my salary goes to {}", "beneficiary account {}", "refund to IBAN {} please"],
             "ar": ["حوّل على {}", "رقم الآيبان {}", "الايبان: {}", "راتبي ينزل على {}", "رقم الحساب الدولي {}", "حساب المستفيد {}"],
             "mix": ["الـ IBAN حقي {}", "transfer على الحساب {}", "IBAN للتحويل: {}"]},
    "saudi_id": {"en": ["my national ID is {}", "ID number: {}", "Saudi ID {} belongs to {n}", "the citizen with ID {} asks", "National ID No. {}"],
                 "ar": ["رقم الهوية {}", "هويتي الوطنية {}", "رقم الهوية الوطنية: {}", "المواطن صاحب الهوية {} يستفسر", "السجل المدني {}", "رقم السجل المدني: {}", "بطاقة الأحوال {}"],
                 "mix": ["الـ national ID حقي {}", "رقم الـ ID هو {}", "هويتي ID {}"]},
    "iqama": {"en": ["my iqama number is {}", "Iqama: {}", "residence permit {} expires soon", "the iqama of {n} is {}", "resident ID {}"],
              "ar": ["رقم الإقامة {}", "اقامتي {}", "إقامة {n} رقمها {}", "رقم الاقامة: {}", "المقيم صاحب الإقامة {} يطلب نقل كفالة"],
              "mix": ["الـ iqama حقتي {}", "iqama رقم {}", "رقم إقامة the driver هو {}"]},
    "emirates_id": {"en": ["Emirates ID {}", "my EID is {}", "EID number: {}", "copy of Emirates ID {} attached"],
                    "ar": ["الهوية الإماراتية {}", "رقم الهوية الإماراتية: {}", "بطاقة الهوية {}", "رقم هوية {n} {}"],
                    "mix": ["الـ Emirates ID {}", "EID حقي {}"]},
    "qatar_id": {"en": ["QID {}", "my Qatar ID is {}", "Qatari ID number: {}", "the QID of {n}: {}"],
                 "ar": ["الرقم الشخصي القطري {}", "البطاقة القطرية رقم {}", "الرقم الشخصي: {}", "رقم البطاقة الشخصية {}"], "mix": ["الـ QID حقي {}", "QID: {} للتجديد"]},
    "kuwait_id": {"en": ["Civil ID {}", "my Kuwaiti civil ID is {}", "civil number: {}"], "ar": ["الرقم المدني {}", "البطاقة المدنية رقم {}", "رقمي المدني: {}"],
                  "mix": ["الـ civil ID {}", "الرقم المدني civil ID: {}"]},
    "bahrain_id": {"en": ["CPR {}", "my CPR number is {}", "Bahraini personal number: {}"], "ar": ["الرقم الشخصي البحريني {}", "رقم البطاقة السكانية {}", "الرقم السكاني: {}"],
                   "mix": ["الـ CPR حقي {}", "رقم CPR: {}"]},
    "oman_id": {"en": ["Omani civil number {}", "Oman ID: {}", "my civil number in Oman is {}"], "ar": ["الرقم المدني العماني {}", "البطاقة الشخصية العمانية رقم {}", "رقمي المدني في عمان: {}"],
                "mix": ["الـ Oman ID {}", "Omani ID رقم {}"]},
    "egypt_id": {"en": ["Egyptian national ID {}", "national ID number {}", "his ID is {}"], "ar": ["الرقم القومي {}", "رقم قومي: {}", "بطاقة الرقم القومي {}", "رقمي القومي {}"],
                 "mix": ["الـ national ID بتاعي {}", "الرقم القومي ID: {}"]},
    "passport": {"en": ["passport number {}", "Passport No. {}", "passport: {}", "my passport {} expires in May", "travelling on passport {}"],
                 "ar": ["رقم جواز السفر {}", "جواز السفر: {}", "جوازي رقم {}", "الجواز {} ينتهي في مايو", "رقم الجواز {}", "باسبور {}"], "mix": ["الـ passport number {}", "جواز passport: {}"]},
    "ip_address": {"en": ["the server {} does not answer", "ping {} fails", "blocked IP: {}", "login from {}", "DNS is {}", "traffic from {} looks odd"],
                   "ar": ["الخادم {} لا يستجيب", "عنوان الآي بي {}", "دخول من العنوان {}", "السيرفر {} واقع"], "mix": ["الـ IP حق السيرفر {}", "الـ server {} واقع"]},
    "mac_address": {"en": ["the device {} is not on the network", "MAC {}", "filter {} in the router", "MAC address: {}"],
                    "ar": ["الجهاز {} غير متصل", "عنوان الماك {}", "أضف {} إلى الراوتر"], "mix": ["الـ MAC address {}", "الجهاز MAC {}"]},
    "date_of_birth": {"en": ["date of birth {}", "DOB: {}", "born on {}", "{n} was born on {}", "Birthday: {}", "D.O.B. {}"],
                      "ar": ["تاريخ الميلاد {}", "من مواليد {}", "ولد في {}", "تاريخ ميلاد {n}: {}", "تاريخ ميلادي {}", "مواليد {}"], "mix": ["الـ DOB هو {}", "تاريخ الميلاد (DOB): {}"]},
    "secret": {"en": ["why does {} not work?", "I committed {} by mistake", "use {} for the call", "the key {} leaked", "export KEY={}"],
               "ar": ["ليش {} ما يشتغل؟", "رفعت {} بالغلط على المستودع", "استخدم {} في الطلب", "المفتاح {} تسرب"], "mix": ["الـ token {} ما يشتغل", "الـ API key هو {}"]},
    "url_credentials": {"en": ["connect to {}", "DATABASE_URL={}", "git clone {} fails", "the string {} is refused"], "ar": ["اتصل بقاعدة البيانات {}", "الرابط {} لا يعمل", "استنسخ {}"],
                        "mix": ["الـ connection string {}", "الـ URL {} ما يشتغل"]},
    "private_key": {"en": ["what kind of key is this? {}", "key: {}", "ssh refuses {}"], "ar": ["ما نوع هذا المفتاح؟ {}", "المفتاح: {}"], "mix": ["الـ private key {}", "ssh ما يقبل {}"]},
}

# Nothing says what it is but itself.
BARE = {
    "en": ["please check {}", "{n}, {}", "update the file of {n} ({}) today", "{}", "we still have {} on record", "look up {} first", "{} asked again this morning", "it says {} on the form"],
    "ar": ["شيك على {}", "{n}، {}", "حدّث ملف {n} ({}) اليوم", "{}", "عندنا في السجل {}", "ابحث عن {} أولًا", "مكتوب في النموذج {}", "راجع {} بسرعة"],
    "mix": ["please شيك على {}", "update ملف {n} ({})", "عندنا على الـ system {}", "{}"],
}

# Numbers and the like that are nobody's: what they are stands there.
HARD = {
    "order": {"en": ["order number {}", "Order #{}", "where is my order {}?", "invoice {}", "Invoice no. {} is unpaid", "ticket {} is still open", "reference {}", "PO {}",
                     "contract no. {}", "transaction {}"],
              "ar": ["رقم الطلب {}", "طلبي رقم {} ما وصل", "فاتورة رقم {}", "رقم الفاتورة: {}", "البلاغ رقم {}", "رقم المرجع {}", "معاملة رقم {}", "رقم العقد {}", "تذكرة رقم {}"],
              "mix": ["الـ order رقم {}", "ticket رقم {}", "invoice رقم {} ما اندفعت"]},
    "tracking": {"en": ["tracking number {}", "the parcel {} is in Dammam", "shipment {}", "AWB {}"], "ar": ["رقم التتبع {}", "الشحنة {} في الدمام", "رقم الشحنة: {}", "بوليصة {}"],
                 "mix": ["tracking رقم {}", "الشحنة tracking {}"]},
    "version": {"en": ["upgrade from version {}", "driver {} crashes", "we run release {}", "firmware v{}", "nginx/{}"], "ar": ["نسخة التطبيق {}", "الإصدار {} فيه خلل", "حدّثت إلى الإصدار {}"],
                "mix": ["version {} فيه مشكلة", "الـ firmware نسخة {}"]},
    "verse": {"en": ["explain verse {} of Al-Baqarah", "Quran {}", "tafsir of {}", "surah and ayah {}"], "ar": ["فسر الآية {} من سورة البقرة", "سورة النساء آية {}", "قال تعالى ﴿...﴾ [البقرة: {}]", "تفسير الآيات {}"],
              "mix": ["tafsir آية {}", "Surah البقرة {}"]},
    "price": {"en": ["the total is SAR {}", "${} a year", "budget of {} dirhams", "it cost {} riyals", "revenue grew to {} USD"], "ar": ["المبلغ {} ريال", "السعر {} درهم", "الميزانية {} ريال سعودي", "الإيرادات {} دولار", "الراتب {} جنيه"],
              "mix": ["الـ total هو {} SAR", "السعر {} AED"]},
    "isbn": {"en": ["ISBN {}", "the book (ISBN {})", "ISBN-13: {}"], "ar": ["ردمك {}", "الكتاب برقم ISBN {}"], "mix": ["ISBN حق الكتاب {}"]},
    "hash": {"en": ["commit {}", "sha256 {}", "the checksum {} differs", "image digest sha256:{}", "md5: {}", "ETag {}"], "ar": ["بصمة الملف {}", "الـ commit {}", "قيمة التجزئة {}"], "mix": ["الـ hash {}", "commit رقم {}"]},
    "uuid": {"en": ["request id {}", "uuid {}", "trace {} timed out", "session {}", "device {}"], "ar": ["معرف الطلب {}", "المعرف {}", "الجلسة {}"], "mix": ["الـ request id {}", "uuid: {}"]},
    "place": {"en": ["the site is at {}", "coordinates {}", "GPS: {}", "lat/lon {}"], "ar": ["الموقع على الإحداثيات {}", "إحداثيات {}", "خط العرض والطول {}"], "mix": ["الـ location {}", "GPS {}"]},
    "time": {"en": ["the log says {}", "at {} it failed", "since {}", "scheduled for {}"], "ar": ["السجل يقول {}", "عند {} توقف", "الموعد {}", "منذ {}"], "mix": ["الـ log عند {}", "scheduled يوم {}"]},
    "epoch": {"en": ["epoch {}", "unix time {}", "\"created\": {}", "timestamp={}", "iat {} in the token", "\"exp\":{}"], "ar": ["الطابع الزمني {}", "وقت يونكس {}", "\"created_at\": {}"],
              "mix": ["الـ timestamp {}", "epoch: {}"]},
    "code": {"en": ["dial {} for support", "extension {}", "the OTP was {}", "postcode {}", "flight {}", "PIN pad code {}", "SKU {}", "room {}"],
             "ar": ["تحويلة {}", "رمز التحقق كان {}", "الرمز البريدي {}", "رحلة {}", "غرفة {}", "رقم الصنف {}"], "mix": ["الـ extension {}", "OTP كان {}", "SKU رقم {}"]},
    "handle": {"en": ["follow {} on X", "ask {} in the channel", "decorator {}", "install {}", "the package {}", "meet {} noon"], "ar": ["تابع {} على إكس", "الحساب {}", "ثبت الحزمة {}"], "mix": ["follow {} على إنستغرام", "الحزمة {}"]},
    "date": {"en": ["the contract ends on {}", "invoice dated {}", "meeting on {}", "expires {}", "released {}", "the battle of {}"], "ar": ["ينتهي العقد في {}", "فاتورة بتاريخ {}", "الاجتماع يوم {}", "تاريخ الانتهاء {}", "صدر القرار بتاريخ {}"],
             "mix": ["الـ meeting يوم {}", "deadline {}"]},
    "secret_talk": {"en": ["how do I reset my password?", "the password must have 12 characters", "rotate the API key every 90 days", "what is a bearer token?", "set api_key=YOUR_API_KEY", "export TOKEN=${TOKEN}",
                           "password: ********", "const token = getToken();", "the secret of good bread", "private key cryptography explained", "password=<your password>", "apiKey: process.env.API_KEY"],
                    "ar": ["كيف أغير كلمة المرور؟", "كلمة المرور يجب أن تكون ١٢ حرفًا", "كلمة السر: ********", "وش يعني مفتاح API؟", "نسيت كلمة المرور حقتي", "اشرح المفتاح الخاص والعام"],
                    "mix": ["الـ password لازم 12 حرف", "كيف أسوي reset للـ token؟", "password: YOUR_PASSWORD"]},
}
