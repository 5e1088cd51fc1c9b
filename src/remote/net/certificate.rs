//! What a refused certificate says, so that the message can name the fix: its names, its issuer, its dates, its pin.

use std::fmt;

use openssl::nid::Nid;
use openssl::x509::{X509, X509NameRef};
use sha2::{Digest, Sha256};

use super::options::ServerOptions;
use super::trust::Pin;
use crate::error::{Error, Kind, Result, safe_line};

/// Why a certificate is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::remote) enum Doubt {
    #[error("certificate has expired")]
    Expired,
    #[error("certificate is not yet valid")]
    NotYetValid,
    #[error("self-signed certificate")]
    SelfSigned,
    #[error("unknown certificate authority")]
    UnknownIssuer,
    #[error("host name mismatch")]
    WrongName,
    #[error("{0}")]
    Other(String),
}

impl Doubt {
    /// Reads OpenSSL's words: its error stack and, in brackets, `X509_verify_cert_error_string`.
    pub(super) fn from_openssl(text: &str) -> Option<Doubt> {
        // OpenSSL 1.1 and 3 differ in hyphens and capitals.
        let plain = text.to_lowercase().replace('-', " ");
        if !plain.contains("certificate verify failed") {
            return None;
        }
        let has = |words: &str| plain.contains(words);
        Some(if has("(certificate has expired") {
            Doubt::Expired
        } else if has("not yet valid") {
            Doubt::NotYetValid
        } else if has("(self signed certificate)") {
            Doubt::SelfSigned
        } else if has("hostname mismatch") || has("ip address mismatch") {
            Doubt::WrongName
        } else if has("issuer certificate") || has("in certificate chain") || has("verify the first certificate") {
            Doubt::UnknownIssuer
        } else {
            Doubt::Other(text.to_owned())
        })
    }

    /// The doubt that caused an error, if one did.
    pub(in crate::remote) fn behind(error: &Error) -> Option<&Doubt> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// The refusal in words, with what the certificate itself says when it could be looked at.
    pub(in crate::remote) fn refusal(&self, server: &ServerOptions, shown: Option<&Shown>) -> Error {
        let host = server.bare_host();
        let not_after = shown.map(|s| format!(", on {}", s.not_after)).unwrap_or_default();
        let not_before = shown.map(|s| format!(", only from {}", s.not_before)).unwrap_or_default();
        let issuer = shown.map(|s| format!(", `{}`", s.issuer)).unwrap_or_default();
        let names = shown.map(|s| format!(" but for {}", s.names_or_none())).unwrap_or_default();
        let (what, advice) = match self {
            Doubt::Expired => (
                format!("The server's certificate has expired{not_after}"),
                "Whoever runs the server has to renew it; is this machine's clock right?",
            ),
            Doubt::NotYetValid => (
                format!("The server's certificate is not valid yet{not_before}"),
                "Check this machine's clock: `date`.",
            ),
            Doubt::SelfSigned => (
                "The server's certificate is self-signed, so nobody vouches for it".to_owned(),
                "If the server is yours, set `ca-file` to that certificate's PEM file.",
            ),
            Doubt::UnknownIssuer => (
                format!("The server's certificate comes from an authority that is unknown here{issuer}"),
                "If you trust that authority, set `ca-file` to its PEM file; a public server may fail to send its \
                 intermediate certificates.",
            ),
            Doubt::WrongName => (
                format!("The server's certificate is not for `{host}`{names}"),
                "Set `host` to a name that the certificate holds.",
            ),
            Doubt::Other(why) => {
                (format!("The server's certificate was refused: {why}"), "Whoever runs the server can tell.")
            }
        };
        let pin = match shown {
            Some(shown) => format!(
                " To trust exactly this certificate, whatever it says, compare its fingerprint at the server and set \
                 `pin = \"{}\"`.",
                shown.pin
            ),
            None => " Or set `pin` to the certificate's SHA-256.".to_owned(),
        };
        Error::new(Kind::Tls, what).hint(format!("{advice}{pin}"))
    }
}

/// A certificate as a server shows it, read without believing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::remote) struct Shown {
    /// The SHA-256 of the certificate.
    pub(super) pin: Pin,
    /// The SHA-256 of its public key.
    pub(super) key_pin: Pin,
    names: Vec<String>,
    issuer: String,
    not_before: String,
    pub(super) not_after: String,
}

impl Shown {
    pub(super) fn from_der(der: &[u8]) -> Result<Shown> {
        let unreadable =
            |e: openssl::error::ErrorStack| Error::new(Kind::Tls, "The server's certificate cannot be read").because(e);
        let certificate = X509::from_der(der).map_err(unreadable)?;
        let key = certificate.public_key().and_then(|k| k.public_key_to_der()).map_err(unreadable)?;
        let mut names: Vec<String> = certificate
            .subject_alt_names()
            .iter()
            .flatten()
            .filter_map(|name| {
                let address = || {
                    let octets = name.ipaddress()?;
                    let v6 = || <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from);
                    Some(<[u8; 4]>::try_from(octets).map(std::net::IpAddr::from).or_else(|_| v6()).ok()?.to_string())
                };
                name.dnsname().map(str::to_owned).or_else(address)
            })
            .collect();
        if names.is_empty() {
            names.extend(common_name(certificate.subject_name()));
        }
        Ok(Shown {
            pin: Pin::new(Sha256::digest(der).into()),
            key_pin: Pin::new(Sha256::digest(&key).into()),
            names: names.iter().map(|n| safe_line(n)).collect(),
            issuer: safe_line(&common_name(certificate.issuer_name()).unwrap_or_else(|| "no name".to_owned())),
            not_before: certificate.not_before().to_string(),
            not_after: certificate.not_after().to_string(),
        })
    }

    fn names_or_none(&self) -> impl fmt::Display {
        const MOST: usize = 5;
        let mut text = self.names.iter().take(MOST).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        if self.names.len() > MOST {
            text.push_str(", …");
        }
        if text.is_empty() { "no name at all".to_owned() } else { text }
    }
}

/// The most telling part of a subject or issuer.
fn common_name(name: &X509NameRef) -> Option<String> {
    [Nid::COMMONNAME, Nid::ORGANIZATIONNAME]
        .into_iter()
        .find_map(|nid| name.entries_by_nid(nid).next())
        .and_then(|entry| entry.data().to_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_words_of_both_openssl_generations() {
        let failed =
            "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:x.c:1889:";
        for (words, doubt) in [
            ("certificate has expired", Doubt::Expired),
            ("certificate is not yet valid", Doubt::NotYetValid),
            ("self-signed certificate", Doubt::SelfSigned),
            ("self signed certificate", Doubt::SelfSigned),
            ("self-signed certificate in certificate chain", Doubt::UnknownIssuer),
            ("unable to get local issuer certificate", Doubt::UnknownIssuer),
            ("unable to verify the first certificate", Doubt::UnknownIssuer),
            ("hostname mismatch", Doubt::WrongName),
            ("Hostname mismatch", Doubt::WrongName),
            ("IP address mismatch", Doubt::WrongName),
        ] {
            assert_eq!(Doubt::from_openssl(&format!("{failed} ({words})")), Some(doubt), "{words}");
        }
        let odd = format!("{failed} (EE certificate key too weak)");
        assert_eq!(Doubt::from_openssl(&odd), Some(Doubt::Other(odd.clone())));
        assert_eq!(Doubt::from_openssl("error:0A00010B:SSL routines:ssl3_get_record:wrong version number"), None);
    }
}
