//! What a message is indexed under: the tokens of its text, of its conversation, and of its sender.

use std::collections::BTreeSet;

use parlor_text::{TOKEN_BITS, Token};
use uuid::Uuid;

/// The tokens of a message, each once.
pub(super) fn of_message(conversation: Uuid, sender: Uuid, content: &str) -> BTreeSet<Token> {
    let mut tokens = parlor_text::index_tokens(&parlor_text::fold(content));
    tokens.extend([of_conversation(conversation), of_sender(sender)]);
    tokens
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_stay_as_stored_indexes_have_them() {
        assert_eq!(of_conversation(Uuid::from_u128(7)), 171_726_718 + (1 << 28));
    }
}
