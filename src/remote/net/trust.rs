//! Which certificates are believed: the system's authorities, one more file, or a pin; and who we are to the server.
//!
//! Plain data. Files are read once, when [`Connector::new`](super::Connector::new) is made from it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Kind};

/// What a server's certificate is checked against, and what is shown to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trust {
    /// A PEM file with more authorities, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The one certificate or public key that is right; nothing else is checked then.
    pub pin: Option<Pin>,
    /// What proves us to the server.
    pub client: Option<ClientCertificate>,
}

/// A client certificate and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientCertificate {
    /// The certificate, then those between it and its authority.
    pub cert: PathBuf,
    /// Its private key, not encrypted.
    pub key: PathBuf,
}

/// The SHA-256 of a certificate (DER) or of its public key (SubjectPublicKeyInfo, DER).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Takes the 32 octets of the digest.
    pub fn new(digest: [u8; 32]) -> Pin {
        Pin(digest)
    }
}

/// Reads 64 hex digits (colons and spaces allowed), or `sha256:` or `sha256/` before those or before base64.
impl FromStr for Pin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Pin, Error> {
        let trimmed = text.trim();
        let digest = match trimmed.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("sha256:") || scheme.eq_ignore_ascii_case("sha256/") => {
                trimmed.get(7..).unwrap_or_default()
            }
            _ => trimmed,
        };
        let octets = hex(digest).or_else(|| openssl::base64::decode_block(digest).ok());
        octets.and_then(|o| o.try_into().ok()).map(Pin).ok_or_else(|| {
            Error::new(Kind::Config, format!("`{}` is no pin", crate::error::safe_line(text))).hint(
                "A pin is the SHA-256 of the server's certificate or public key: 64 hex digits, or `sha256:` and base64. \
                 `openssl x509 -in cert.pem -noout -fingerprint -sha256` prints one.",
            )
        })
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !matches!(c, ':' | ' '))
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let digits = digits?;
    (digits.len() == 64).then(|| digits.chunks(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | d)).collect())
}

/// `sha256:` and 64 hex digits: what [`FromStr`] reads and the configuration takes.
impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_every_common_form() {
        let pin: Pin = HEX.parse().unwrap();
        assert_eq!(pin.to_string(), format!("sha256:{HEX}"));
        let colons: Vec<String> =
            HEX.to_uppercase().as_bytes().chunks(2).map(|p| String::from_utf8_lossy(p).into()).collect();
        for form in [
            format!("sha256:{HEX}"),
            format!("SHA256:{}", colons.join(":")),
            colons.join(":"),
            "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".into(),
            "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".into(),
        ] {
            assert_eq!(form.parse::<Pin>().unwrap(), pin, "{form}");
        }
    }

    #[test]
    fn refuses_what_is_no_pin() {
        for text in ["", "sha256:", "sha256:abcd", &HEX[..63], "sha1:47DEQpj8", "ä".repeat(32).as_str()] {
            let error = text.parse::<Pin>().unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{text}");
            assert!(error.hint_text().is_some());
        }
    }
}
