//! What is said in a load: as many different words as people use, so that the search index has its work.

use std::fmt::Write as _;

/// What words are made of.
const SYLLABLES: [&str; 12] = ["mo", "ra", "ti", "lu", "se", "ko", "na", "vi", "da", "pe", "zu", "fi"];

/// Appends the nth of many different messages: twelve words of about 1,700, the first of them much more frequent than the last, 83
/// characters together; every tenth message is Chinese, 24 characters of about 600.
pub fn write(out: &mut String, n: u64) {
    let mut state = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut below = |bound: u64| {
        // xorshift64 (Marsaglia 2003): any spread will do, and a run repeats.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    if n.is_multiple_of(10) {
        let character = |k: u64| char::from_u32(0x4E00 + k as u32).unwrap_or('中');
        out.extend((0..24).map(|_| character(below(600) * 7)));
        return;
    }
    for place in 0..12 {
        if place > 0 {
            out.push(' ');
        }
        let bound = below(3_000) + 1;
        let mut word = below(bound);
        for _ in 0..3 {
            out.push_str(SYLLABLES[(word % 12) as usize]);
            word /= 12;
        }
    }
}

/// What a search for the nth time looks for: a word, frequent or rare, or two Chinese characters.
pub fn write_query(out: &mut String, n: u64) {
    let mut text = String::with_capacity(96);
    write(&mut text, n);
    match text.split_once(' ') {
        Some((word, _)) => out.push_str(word),
        None => out.extend(text.chars().take(2)),
    }
}

/// The percent-encoded form of a query.
pub(crate) fn write_encoded(out: &mut String, text: &str) {
    for piece in form_urlencoded::byte_serialize(text.as_bytes()) {
        let _ = out.write_str(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_differ_and_repeat_with_their_number() {
        let text = |n| {
            let mut text = String::new();
            write(&mut text, n);
            text
        };
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
        assert_eq!(text(7).len(), 83);
        assert_eq!(text(20).chars().count(), 24);
    }
}
