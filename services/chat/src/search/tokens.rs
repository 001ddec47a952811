//! What a message is indexed under: the tokens of its text, of its conversation, and of its sender. A term of
//! SQLite's FTS5 as they are, an integer of PostgreSQL's GIN: those of a text are others there in each span ([`super::sql`]).

use parlor_text::{TOKEN_BITS, Token};
use uuid::Uuid;

/// The tokens of a message, as [`written`].
pub(super) fn of_message(conversation: Uuid, sender: Uuid, content: &str) -> String {
    let mut tokens = parlor_text::index_tokens(&parlor_text::fold(content));
    tokens.extend([of_conversation(conversation), of_sender(sender)]);
    written(tokens)
}

/// The token of a conversation.
pub(super) fn of_conversation(conversation: Uuid) -> Token {
    NOT_OF_TEXT | parlor_text::token([1].into_iter().chain(conversation.into_bytes()))
}

/// The token of a sender.
pub(super) fn of_sender(sender: Uuid) -> Token {
    NOT_OF_TEXT | parlor_text::token([2].into_iter().chain(sender.into_bytes()))
}

/// Beyond all tokens of texts.
const NOT_OF_TEXT: Token = 1 << TOKEN_BITS;

/// Whether a token is one of a text.
pub(super) fn is_of_text(token: Token) -> bool {
    token < NOT_OF_TEXT
}

/// As PostgreSQL writes an array; to FTS5, all but the digits only separates.
pub(super) fn written(tokens: impl IntoIterator<Item = Token>) -> String {
    let tokens: Vec<_> = tokens.into_iter().map(|token| token.to_string()).collect();
    format!("{{{}}}", tokens.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_written_as_both_stores_read_them() {
        assert_eq!(written([]), "{}");
        assert_eq!(written([3, 70]), "{3,70}");
    }

    #[test]
    fn conversations_stay_as_stored_indexes_have_them() {
        assert_eq!(of_conversation(Uuid::from_u128(7)), 171_726_718 + (1 << 28));
    }
}
