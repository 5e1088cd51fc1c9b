//! Commands as octets, without tag and final line end. Quoting lives here, so that no name and no text can end a
//! command or begin another.

use std::fmt;

use super::name::WireName;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Vec<u8>);

/// How octets that no quoted string may hold are sent (RFC 3501 §9 `QUOTED-CHAR` is seven-bit).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EightBit {
    /// As a literal that needs no answer (RFC 7888).
    Literal,
    /// Quoted all the same: a server without LITERAL+ that lists such names takes them back so, and asking for a
    /// literal would cost a round trip a command.
    Quoted,
}

impl Command {
    /// Begins with `text`, which is ours and needs no quoting.
    pub fn new(text: impl fmt::Display) -> Command {
        Command(text.to_string().into_bytes())
    }

    /// Goes on with `text`, which is ours and needs no quoting.
    #[must_use]
    pub fn text(mut self, text: impl fmt::Display) -> Command {
        self.0.extend_from_slice(text.to_string().as_bytes());
        self
    }

    /// Goes on with a blank and a mailbox's name.
    #[must_use]
    pub fn mailbox(mut self, name: &WireName, eight_bit: EightBit) -> Command {
        let octets = name.as_bytes();
        if !octets.is_ascii() && eight_bit == EightBit::Literal {
            self.0.extend_from_slice(format!(" {{{}+}}\r\n", octets.len()).as_bytes());
            self.0.extend_from_slice(octets);
            return self;
        }
        self.0.extend_from_slice(b" \"");
        for octet in octets {
            if matches!(octet, b'"' | b'\\') {
                self.0.push(b'\\');
            }
            self.0.push(*octet);
        }
        self.0.push(b'"');
        self
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &[u8], eight_bit: EightBit) -> Vec<u8> {
        Command::new("SELECT").mailbox(&WireName::new(name).unwrap(), eight_bit).as_bytes().to_vec()
    }

    #[test]
    fn names_cannot_break_out() {
        assert_eq!(sent(b"a\" b\\", EightBit::Literal), b"SELECT \"a\\\" b\\\\\"");
        assert_eq!(sent("é".as_bytes(), EightBit::Literal), "SELECT {2+}\r\né".as_bytes());
        assert_eq!(sent("é".as_bytes(), EightBit::Quoted), "SELECT \"é\"".as_bytes());
        assert_eq!(WireName::new(b"a\r\nb"), None);
        assert_eq!(WireName::new(b""), None);
    }
}
