//! What protects a connection: the version of TLS and the certificate, for a person who checks.
//!
//! The TLS library does not tell the version, so it is read from the server's first message, which is never encrypted.

use super::trust::Pin;

/// How a connection is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// The version of TLS; `None` when the server's first message could not be read.
    pub version: Option<&'static str>,
    /// The SHA-256 of the server's certificate.
    pub certificate: Pin,
    /// The SHA-256 of its public key.
    pub public_key: Pin,
    /// When the certificate ends, as it says itself.
    pub ends: String,
}

/// The version that a ServerHello settles on (RFC 8446 section 4.1.3); `wire` is what the server sent first.
pub(super) fn version(wire: &[u8]) -> Option<&'static str> {
    const SERVER_HELLO: u8 = 2;
    const SUPPORTED_VERSIONS: u16 = 43;
    let hello = handshake_octets(wire);
    let mut rest = Cut(&hello);
    if rest.take(1)? != [SERVER_HELLO] {
        return None;
    }
    let len = rest.take(3)?.iter().fold(0, |n, octet| n << 8 | usize::from(*octet));
    let mut rest = Cut(rest.take(len)?);
    let mut chosen = rest.number()?;
    // The random, the session's id, the cipher and the compression.
    rest.take(32)?;
    let id = rest.take(1)?.first().copied()?;
    rest.take(usize::from(id) + 3)?;
    // TLS 1.2 may do without extensions.
    let mut extensions = Cut(rest.number().map_or(Some(&[][..]), |len| rest.take(len.into()))?);
    while let Some(kind) = extensions.number() {
        let len = extensions.number()?;
        let mut content = Cut(extensions.take(len.into())?);
        if kind == SUPPORTED_VERSIONS {
            chosen = content.number()?;
        }
    }
    match chosen {
        0x0303 => Some("TLS 1.2"),
        0x0304 => Some("TLS 1.3"),
        _ => None,
    }
}

/// What the records of a handshake hold, without their headers.
fn handshake_octets(wire: &[u8]) -> Vec<u8> {
    const HANDSHAKE: u8 = 22;
    let (mut rest, mut all) = (Cut(wire), Vec::new());
    while rest.take(1) == Some(&[HANDSHAKE][..]) && rest.take(2).is_some() {
        let Some(len) = rest.number() else { break };
        let len = usize::from(len).min(rest.0.len());
        all.extend(rest.take(len).unwrap_or_default());
    }
    all
}

/// Octets that are taken from the front.
struct Cut<'a>(&'a [u8]);

impl<'a> Cut<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ServerHello in records of `size` octets.
    fn hello(legacy: [u8; 2], extensions: &[u8], size: usize) -> Vec<u8> {
        let mut body = legacy.to_vec();
        body.extend([7; 32]);
        body.extend([4, 1, 2, 3, 4, 0x13, 0x01, 0]);
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
        let mut message = vec![2, 0, 0, u8::try_from(body.len()).unwrap()];
        message.extend(body);
        let record = |piece: &[u8]| [&[22, 3, 3, 0, u8::try_from(piece.len()).unwrap()], piece].concat();
        message.chunks(size).flat_map(record).collect()
    }

    #[test]
    fn the_version_is_in_an_extension_or_in_front() {
        let newer = [0, 51, 0, 2, 9, 9, 0, 43, 0, 2, 3, 4];
        for size in [200, 10] {
            assert_eq!(version(&hello([3, 3], &newer, size)), Some("TLS 1.3"));
            assert_eq!(version(&hello([3, 3], &[0xff, 1, 0, 1, 0], size)), Some("TLS 1.2"));
        }
        assert_eq!(version(&hello([3, 1], &[], 200)), None);
    }

    #[test]
    fn what_is_cut_short_or_something_else_tells_nothing() {
        let whole = hello([3, 3], &[0, 43, 0, 2, 3, 4], 200);
        for len in 0..whole.len() {
            assert_eq!(version(&whole[..len]), None, "{len}");
        }
        assert_eq!(version(b"* OK IMAP ready\r\n"), None);
    }
}
