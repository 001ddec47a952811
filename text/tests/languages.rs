//! What search finds, language by language.

use parlor_text::{contains_all, find, fold, index_tokens, query_tokens, terms};

/// Searches as a store does: the tokens propose, the folded text decides.
fn finds(text: &str, query: &str) -> bool {
    let folded = fold(text);
    let terms = terms(query);
    let proposed = query_tokens(&terms).is_subset(&index_tokens(&folded));
    let found = contains_all(&folded, &terms);
    assert!(proposed || !found, "the index misses {query:?} in {text:?}");
    assert_eq!(
        found,
        terms.iter().all(|term| !find(text, term).is_empty()),
        "the highlight disagrees on {query:?}"
    );
    found
}

macro_rules! search {
    ($($name:ident: $text:literal has [$($query:literal),*] not [$($other:literal),*];)*) => {$(
        #[test]
        fn $name() {
            $(assert!(finds($text, $query), "{:?} should be found in {:?}", $query, $text);)*
            $(assert!(!finds($text, $other), "{:?} should not be found in {:?}", $other, $text);)*
        }
    )*};
}

search! {
    chinese_by_one_two_or_more_characters: "早上好，你好吗？ＡＩ" has ["好", "你好", "你好吗", "ai", "你好 早"] not ["好你", "您"];
    japanese_keeps_voicing_and_kana: "私はｶﾞｲﾄﾞのか\u{3099}くせいです。" has
        ["がくせい", "ガイド", "私"] not ["かくせい", "カイト", "ガクセイ"];
    korean_syllables_however_typed: "안녕하세요 반갑습니다 ㅋㅋㅠㅠ" has
        ["안녕", "녕", "\u{110B}\u{1161}\u{11AB}\u{1102}\u{1167}\u{11BC}", "ㅋㅋ", "ㅠㅠ"] not ["아녕", "하세오"];
    thai_keeps_vowels_and_tones: "สวัสดีครับ ไปไหนมา ข้าว ๑๒" has
        ["สวัสดี", "ดี", "ไหน", "12"] not ["สวสด", "ขาว"];
    hindi_keeps_vowel_signs: "हिन्दी ज़बान में हूँ १२" has
        ["हिन्दी", "जबान", "हूं", "12"] not ["हनद", "हन्द"];
    tamil_keeps_vowel_signs: "வணக்கம், எப்படி இருக்கிறீர்கள்?" has
        ["வணக்கம்", "எப்படி"] not ["வணககம", "எபபட"];
    persian_and_arabic_keyboards: "سلام، کتاب‌های خوبی را می‌خوانم ۱۲۳" has
        ["كتاب", "كتابهاي", "می\u{200C}خوانم", "ميخوانم", "١٢٣", "123"] not ["کتابخانه"];
    arabic_without_harakat: "الْعَرَبِيَّةُ لُغَةٌ جَمِيـــلَة، أهلا" has
        ["العربية", "لغه", "جميلة", "اهلا"] not ["عربة"];
    urdu_hehs: "آپ کیسے ہیں؟ یہ کتاب ھے" has ["كيسے", "هیں", "ہے", "اپ"] not ["کیسا"];
    hebrew_without_points: "שָׁלוֹם לְכֻלָּם, בית־ספר ג׳ירפה" has
        ["שלום", "לכלם שלום", "ביתספר", "ספר", "ג'ירפה", "מ"] not ["שלון"];
    ukrainian_apostrophes: "Доброго ранку! У п’ятницю ПʼЯТЬ їжаків" has
        ["п'ять", "пять", "ДОБРОГО", "п'ятницю", "іжаків"] not ["шість"];
    turkish_i: "İSTANBUL'da ışık ve Iğdır" has
        ["istanbul", "ISTANBUL", "ıstanbul", "isik", "IŞIK", "igdir"] not ["izmir"];
    swedish: "Jag älskar smörgås på Åland" has
        ["ÄLSKAR", "smorgas", "åland", "a\u{30A}land"] not ["smørrebrød"];
    german_sharp_s: "Die Straße zur GRÖẞE und Füße" has
        ["STRASSE", "strasse", "größe", "GRÖSSE", "fuße"] not ["fuesse"];
    vietnamese: "Tôi đang học tiếng Việt" has
        ["tieng viet", "TIẾNG", "dang", "đang", "Vie\u{323}\u{302}t"] not ["tienh"];
    greek_final_sigma: "Ὀδυσσεύς και Ἀθῆναι, ΚΑΛΗΜΕΡΑ ΚΌΣΜΟΣ" has
        ["ΟΔΥΣΣΕΥΣ", "οδυσσευσ", "καλημέρα", "κοσμος", "αθηναι"] not ["κοσμα"];
    polish_and_danish_strokes: "Łódź, smørrebrød og Ærø" has ["lodz", "smorrebrod", "aero"] not ["loda"];
    english_apostrophes_and_hyphens: "I can't send the e-mail — state-of-the-art" has
        ["cant", "CAN’T", "email", "e-mail", "mail", "stateoftheart", "state of the art"] not ["maile"];
    symbols: "C++ and C# for 5 € 👍🏽 ❤️ #rust ½" has
        ["c++", "c#", "€", "👍", "❤", "👍🏿", "#RUST", "rust", "1⁄2"] not ["c--x", "👎"];
    invisible_characters: "pass\u{AD}word \u{202E}reversed\u{202C} a\u{200B}b \u{FEFF}x" has
        ["password", "reversed", "ab"] not ["pass word q"];
    compatibility_forms: "ﬁne ２０２４ ① ㎏ 𝓗𝓮𝓵𝓵𝓸 ﷲ" has ["fine", "2024", "1", "kg", "hello", "الله"] not ["2025"];
}

#[test]
fn folded_forms_are_these() {
    for (text, folded) in [
        ("  Hello,\t\nWORLD!! ", "hello world"),
        ("…!?", ""),
        ("a\0b", "a b"),
        ("\u{301}x", "x"),
        ("日本語　テキスト", "日本語 テキスト"),
        ("안\u{1161}", "안\u{1161}"),
        ("क\u{93C}ि", "कि"),
        ("x ´ y ¨ z", "x y z"),
    ] {
        assert_eq!(fold(text), folded, "{text:?}");
    }
}
