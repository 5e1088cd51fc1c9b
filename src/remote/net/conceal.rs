//! A password that a server repeats: some show the command that they refuse, and what they say is shown to a person.
//!
//! Only what was said up to the end of the login is looked through: afterwards the password is not sent again.

use openssl::base64::encode_block;

use crate::error::Error;
use crate::secret::Secret;

/// Shorter ones stand in ordinary words by chance, and a gap in these would tell them.
const SHORTEST: usize = 4;

/// The forms in which a password goes to a server.
pub struct Concealed(Vec<String>);

impl Concealed {
    /// The password of `user`.
    pub fn new(user: &str, secret: &Secret) -> Concealed {
        let secret = secret.expose();
        let quoted = secret.replace('\\', "\\\\").replace('"', "\\\"");
        let plain = encode_block(format!("\0{user}\0{secret}").as_bytes());
        Concealed(vec![plain, encode_block(secret.as_bytes()), quoted, secret.to_owned()])
    }

    /// `words` without the password.
    pub fn words(&self, words: &str) -> String {
        if self.0.last().is_some_and(|secret| secret.len() < SHORTEST && words.contains(secret.as_str())) {
            return "(not shown: it may hold the password)".to_owned();
        }
        self.0.iter().fold(words.to_owned(), |words, form| words.replace(form.as_str(), "…"))
    }

    /// The error without the password in the server's words.
    pub fn error(&self, error: Error) -> Error {
        match error.server_words().map(|words| self.words(words)) {
            Some(words) => error.server_said(words),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn no_form_of_the_password_is_left() {
        let concealed = Concealed::new("me", &Secret::new("se \"cret\\".into()));
        let sasl = encode_block(b"\0me\0se \"cret\\");
        let said =
            format!("BAD LOGIN me \"se \\\"cret\\\\\" or se \"cret\\ or {sasl} or {}", encode_block(b"se \"cret\\"));
        assert_eq!(concealed.words(&said), "BAD LOGIN me \"…\" or … or … or …");
        let error = concealed.error(Error::new(Kind::Auth, "refused").server_said(said));
        assert!(!error.to_string().contains("cret") && error.to_string().contains("BAD LOGIN me"), "{error}");
    }

    #[test]
    fn a_gap_does_not_tell_a_short_one() {
        let concealed = Concealed::new("me", &Secret::new("log".into()));
        assert!(!concealed.words("NO login failed").contains("in failed"));
        assert_eq!(concealed.words("NO failed"), "NO failed");
    }
}
