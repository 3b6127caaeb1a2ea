# SPDX-License-Identifier: Apache-2.0
"""Sentences like those of sentences.py that were written once the detectors stood, and are not to be looked at when they are changed:
what is found here says more of prompts that nobody foresaw. Where a figure of these falls, the figure is published and the list of
words stays as it is, or new sentences are written."""

KEYED = {
    "email": {"en": ["loop in {}, please", "the mailbox {} is full", "sent from <{}>", "who is behind {}?"], "ar": ["ضيف {} على الإيميل", "وصلني من {} كلام غريب", "صندوق البريد {} ممتلئ"], "mix": ["ضيف {} في الـ cc", "الـ mailbox {} full"]},
    "phone": {"en": ["the driver can be reached at {}", "she texted from {} last night", "ring {} twice", "emergency contact: {}"], "ar": ["دق علي {}", "السواق رقمه {}", "بعتلي رسالة من {}", "للطوارئ: {}"], "mix": ["الـ driver رقمه {}", "دق على my number {}"]},
    "credit_card": {"en": ["somebody used {} in Istanbul", "dispute: {} / Amazon", "my Mastercard ({}) expired"], "ar": ["أحد استخدم بطاقتي {} في تركيا", "فيزتي {} راحت", "اعتراض على عملية بالبطاقة {}"], "mix": ["الـ Mastercard {} انسرقت"]},
    "iban": {"en": ["the landlord wants it on {}", "wire to {}", "payroll account: {}"], "ar": ["صاحب العقار يبيها على {}", "حوالة إلى {}", "الراتب على {}"], "mix": ["wire على {}"]},
    "saudi_id": {"en": ["holder of national identity {}", "her Hawiyya is {}", "identity no {} (Absher)", "the guarantor, ID {}, signed"], "ar": ["حامل الهوية {}", "الكفيل هويته {}", "دخلت أبشر بهوية {}", "بهوية وطنية رقم {}"], "mix": ["هوية الـ guarantor {}", "Absher ID {}"]},
    "iqama": {"en": ["the driver's Iqama ({}) lapsed", "resident with iqama no {}", "his residency number {} is blocked"], "ar": ["إقامة السائق {} منتهية", "العامل رقم إقامته {}", "هوية مقيم {}"], "mix": ["الـ iqama للسواق {} expired"]},
    "emirates_id": {"en": ["scan of my EID {}", "UAE identity card {}", "ICP card no. {}"], "ar": ["هوية الإمارات {}", "بطاقتي الإماراتية {}"], "mix": ["الـ EID الجديد {}"]},
    "qatar_id": {"en": ["Qatar residency, QID no. {}", "my Qatari identity is {}"], "ar": ["البطاقة الشخصية القطرية {}", "رقمي الشخصي في قطر {}"], "mix": ["QID رقم {}"]},
    "kuwait_id": {"en": ["PACI civil id no. {}", "Kuwait civil card {}"], "ar": ["بطاقتي المدنية {}", "الرقم المدني للوالد {}"], "mix": ["civil ID رقم {}"]},
    "bahrain_id": {"en": ["CPR no. {}", "his Bahraini CPR is {}"], "ar": ["رقم سكاني {}", "بطاقة سكانية {}"], "mix": ["رقم الـ CPR {}"]},
    "oman_id": {"en": ["Omani resident card {}", "civil no. {} (ROP, Oman)"], "ar": ["الرقم المدني {} سلطنة عمان", "بطاقة مدنية عمانية {}"], "mix": ["Oman civil number {}"]},
    "egypt_id": {"en": ["Egyptian ID card {}", "raqam qawmi {}"], "ar": ["بطاقتي {}", "الرقم القومى بتاعها {}"], "mix": ["raqam قومي {}"]},
    "passport": {"en": ["her passport ({}) is at the embassy", "PASSPORT#: {}", "boarding with passport no {}"], "ar": ["جوازها {} في السفارة", "رقم جوازي {}", "جواز سفر رقم {}"], "mix": ["passport رقم {}"]},
    "ip_address": {"en": ["ssh {} times out", "allow-list {} on the firewall", "the camera sits at {}"], "ar": ["افتح {} في الجدار الناري", "الكاميرا على {}"], "mix": ["ssh على {} ما يفتح"]},
    "mac_address": {"en": ["the printer's hardware address is {}", "ban {} from the Wi-Fi"], "ar": ["احظر {} من الواي فاي", "عنوان كرت الشبكة {}"], "mix": ["احظر {} من الـ Wi-Fi"]},
    "date_of_birth": {"en": ["birth date: {}", "she was born {}", "d.o.b {} (see file)", "his birthday is {}"], "ar": ["يوم ميلاده {}", "مولود بتاريخ {}", "ت. الميلاد {}", "وُلدت في {}"], "mix": ["birth date هو {}"]},
    "secret": {"en": ["is {} still valid?", "paste {} into the header", "found {} in a log"], "ar": ["هل {} لا يزال صالحًا؟", "لقيت {} في السجل"], "mix": ["لقيت {} في الـ log"]},
    "url_credentials": {"en": ["the app reads from {}", "cron fails on {}", "backup to {}"], "ar": ["التطبيق يقرأ من {}", "النسخ الاحتياطي إلى {}"], "mix": ["backup على {}"]},
    "private_key": {"en": ["the deploy key: {}", "can you convert this? {}"], "ar": ["حوّل هذا لصيغة أخرى {}"], "mix": ["convert هذا {}"]},
}

BARE = {"en": ["{} again?", "delete {} from the sheet", "row 12: {}", "{n} wrote: {}"], "ar": ["{} مرة ثانية؟", "احذف {} من الجدول", "السطر ١٢: {}", "{n} كتب: {}"], "mix": ["delete {} من الجدول", "row 12: {}"]}

HARD = {
    "order": {"en": ["my Noon order {} is late", "receipt {}", "quote {} was accepted", "batch {} failed", "case {} is closed"], "ar": ["طلبية نون {} تأخرت", "إيصال {}", "عرض السعر {}", "القضية {} أغلقت"], "mix": ["receipt رقم {}"]},
    "tracking": {"en": ["Aramex says {} left Jeddah", "waybill {}"], "ar": ["أرامكس: {} غادرت جدة"], "mix": ["waybill {}"]},
    "version": {"en": ["since build {}", "patched in {}", "firmware {} bricked it"], "ar": ["بعد تحديث {}", "تحديث النظام {}"], "mix": ["update {} خرب الجهاز"]},
    "verse": {"en": ["recite {} of An-Nisa", "ayah {}"], "ar": ["اقرأ الآية {}", "ما تفسير {} من الكهف"], "mix": ["ayah رقم {}"]},
    "price": {"en": ["we owe {} EGP", "they asked KWD {}"], "ar": ["عليه دين {} ريال", "المطلوب {} دينار"], "mix": ["المطلوب {} SAR"]},
    "isbn": {"en": ["a reprint, ISBN {}"], "ar": ["طبعة جديدة، ردمك {}"], "mix": ["ISBN: {}"]},
    "hash": {"en": ["git revert {}", "digest {}", "blob {} is missing"], "ar": ["تجزئة الكتلة {}"], "mix": ["git revert {}"]},
    "uuid": {"en": ["correlation id {}", "tenant {}"], "ar": ["معرّف الجلسة {}"], "mix": ["tenant {}"]},
    "place": {"en": ["drop the pin at {}", "{} is in the Empty Quarter"], "ar": ["النقطة {} في الربع الخالي"], "mix": ["pin على {}"]},
    "time": {"en": ["crashed {}", "last seen {}"], "ar": ["آخر ظهور {}"], "mix": ["last seen {}"]},
    "epoch": {"en": ["expires_at: {}", "date -d @{}", "modified {} (unix)"], "ar": ["ختم زمني {}"], "mix": ["expires_at {}"]},
    "code": {"en": ["gate {}", "table {} please", "short code {}"], "ar": ["بوابة {}", "الرمز القصير {}"], "mix": ["gate رقم {}"]},
    "handle": {"en": ["ping {}", "import {}", "cc {} on the thread"], "ar": ["منشن {}"], "mix": ["ping {} بكرة"]},
    "date": {"en": ["the lease runs to {}", "founded {}", "Ramadan starts {}"], "ar": ["يبدأ الدوام {}", "تأسست الشركة في {}"], "mix": ["launch يوم {}"]},
    "secret_talk": {"en": ["Should a password expire?", "token=${{ secrets.TOKEN }}", "passwords must not be reused", "what does API_KEY mean here?", "secret: [redacted]"], "ar": ["هل تنتهي كلمة المرور؟", "اشرح ما هو التوكن", "كلمة مرور قوية كيف أختارها؟"], "mix": ["explain الـ token"]},
}
