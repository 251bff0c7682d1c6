"""The texts that an export is compared on unless the person brings their own. Data only.

They are short and long, of many scripts, and full of what tokenizers stumble over. What they say does not
matter; that they differ in length and in tokens does.
"""

# ruff: noqa: RUF001 — other scripts' punctuation and full-width letters are here on purpose

from __future__ import annotations

_SHORT = (
    "Yes",
    "refund?",
    "!!!",
    "42",
    "👍",
    "Not good.",
    "ok ok ok",
    "Größenwahn",
    "ありがとう",
    "שלום",
    "<br>",
    "https://example.org/a?b=c&d=%20#e",
)

_SENTENCES = (
    "The harbour stayed closed on Monday because the storm had torn two cranes from their rails.",
    "Quarterly profit rose 4.7% to $1.26 billion, slightly above what most analysts had expected.",
    "She scored twice in the last five minutes, and the small club went through to the final.",
    "My parcel arrived three weeks late, the box was crushed, and nobody answers the phone.",
    "Die Werkstatt meldet sich erst am Donnerstag; bis dahin fahre ich mit dem Fahrrad zur Arbeit.",
    "Le musée rouvrira au printemps, après deux ans de travaux et beaucoup de retards.",
    "¿Alguien sabe si el tren de las ocho sigue parando en la estación vieja?",
    "После долгого дождя река вышла из берегов, и дорогу в деревню пришлось закрыть.",
    "وصل القطار متأخرا ساعة كاملة، ولم يعرف أحد من المسافرين السبب.",
    "המאפייה ברחוב שלנו נפתחת בחמש בבוקר, והריח מגיע עד החלון.",
    "बारिश के बाद बाज़ार फिर खुल गया और लोग सब्ज़ियाँ खरीदने निकले।",
    "新的图书馆昨天开放，孩子们在门口排起了长队。",
    "台風が近づいているため、午後の船はすべて欠航になりました。",
    "도서관은 공사 때문에 다음 달까지 문을 닫는다고 합니다.",
    "Great service 😀😀 but the 🍕 was cold 😞 — would (maybe) order again ❤️‍🔥",
    "for i in range(10):\n    print(f'{i:>3} | {i ** 2:04d}')  # squares\n",
    'SELECT name, COUNT(*) FROM "orders" WHERE total >= 99.95 GROUP BY name;',
    "1 2 3 5 8 13 21 34 55 89 144 233 377 610 987 1597 2584 4181 6765 10946",
    "Ünïcödé, naïve façade, Øresund, Łódź, Đà Nẵng, ĳsselmeer, ﬁne ligatures, ＦＵＬＬ　ｗｉｄｔｈ",
    "\t  tabs,   many    spaces \u00a0 a no-break space, a soft\u00adhyphen, a zero\u200bwidth space  \n\n",
)

_STORY = (
    "When the old ferry was finally sold, the island council asked its people what should happen to the landing "
    "stage. Some wanted a market hall, others a swimming pool, and the fishermen wanted only that nothing at all "
    "be changed. The council listened for a whole winter. In March it printed a leaflet of eleven pages, which "
    "almost nobody read, and in April it held a vote that almost nobody missed. The pool lost by nine votes. The "
    "market hall won, though it would take four years to build and cost twice what the leaflet had said. On the "
    "day the first stone was laid, the captain of the ferry came back as a guest, looked at the hole in the ground "
    "for a long while, and said that it was a fine hole, and that he had seen worse harbours with better names. "
    "People laughed, the band played, and it began to rain. By evening the hole had filled with water to the "
    "brim, and the children, who had not been allowed to vote, had a pool after all."
)

# 36 texts from one word to about 400; the order is fixed, and neighbours differ in length.
BUILT_IN_TEXTS = (
    *(text for pair in zip(_SENTENCES[:12], _SHORT, strict=True) for text in pair),
    _STORY,
    *_SENTENCES[12:],
    _STORY[:500],
    " ".join(_SENTENCES),
    " ".join((_STORY, *_SENTENCES)),
)

# What normalizers and splitters stumble over, and texts of which they leave next to nothing.
ODD_TEXTS = (
    "e\u0301te\u0301 and caf\u00e9",
    "\u200b\u200b\u200b",
    "\ufeffgood",
    "x\u0085y\u2028z",
    "a\u0000b \u0007 c",
    "\u0130stanbul \u01c5 \ufb01 \u1e9e",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 love",
    "。、！",
    "\u202eright to left\u202c \ue000 \U0001d518\U0001d52b \ufffd",
    "##ing @@ \u2581x \u0120y </w>",
    ".",
    "\u0301",
)
