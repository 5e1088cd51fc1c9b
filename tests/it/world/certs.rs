//! Certificates for loopback servers: an authority of our own, good ones, and each kind of bad one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

/// What is wrong with a server's certificate, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Certificate {
    /// Signed by the tests' authority, for `localhost` and 127.0.0.1.
    #[default]
    Good,
    /// As good, until yesterday.
    Expired,
    /// For `localhost`, signed by nobody else.
    SelfSigned,
    /// Signed by the tests' authority, for `imap.example.org`.
    WrongName,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub struct Files {
    pub cert: PathBuf,
    pub key: PathBuf,
}

struct Authority {
    cert: X509,
    key: PKey<Private>,
}

fn authority() -> &'static Authority {
    static ONCE: OnceLock<Authority> = OnceLock::new();
    ONCE.get_or_init(|| {
        let key = key();
        let cert = build("Mailtide test authority", &key, None, (-1, 30), None);
        Authority { cert, key }
    })
}

/// Writes the authority's certificate, which a client must be told to trust.
pub fn write_authority(dir: &Path) -> PathBuf {
    let path = dir.join("ca.pem");
    fs::write(&path, authority().cert.to_pem().unwrap()).unwrap();
    path
}

/// Writes a server's certificate and key.
pub fn write_server(dir: &Path, kind: Certificate) -> Files {
    let key = key();
    let ca = Some(authority());
    let cert = match kind {
        Certificate::Good => build("localhost", &key, ca, (-1, 7), Some("localhost")),
        Certificate::Expired => build("localhost", &key, ca, (-9, -1), Some("localhost")),
        Certificate::SelfSigned => build("localhost", &key, None, (-1, 7), Some("localhost")),
        Certificate::WrongName => build("imap.example.org", &key, ca, (-1, 7), Some("imap.example.org")),
    };
    write(dir, "server", &cert, &key)
}

/// Writes a client's certificate and key, signed by the authority.
pub fn write_client(dir: &Path, user: &str) -> Files {
    let key = key();
    let cert = build(user, &key, Some(authority()), (-1, 7), Some(user));
    write(dir, "client", &cert, &key)
}

/// The SHA-256 of a certificate file's DER, in hexadecimal: what a pin may be.
pub fn fingerprint(cert: &Path) -> String {
    let cert = X509::from_pem(&fs::read(cert).unwrap()).unwrap();
    cert.digest(MessageDigest::sha256()).unwrap().iter().map(|b| format!("{b:02x}")).collect()
}

fn write(dir: &Path, name: &str, cert: &X509, key: &PKey<Private>) -> Files {
    let files = Files { cert: dir.join(format!("{name}.pem")), key: dir.join(format!("{name}.key")) };
    fs::write(&files.cert, cert.to_pem().unwrap()).unwrap();
    fs::write(&files.key, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    files
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// `days` are (not before, not after) from now; an issuer of `None` signs itself; no `name` makes an authority.
fn build(common: &str, key: &PKey<Private>, issuer: Option<&Authority>, days: (i64, i64), name: Option<&str>) -> X509 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", common).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(fastrand::u32(1..)).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(issuer.map_or(&subject, |i| i.cert.subject_name())).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now + days.0 * 86_400).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + days.1 * 86_400).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    match name {
        None => {
            builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
            let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap();
            builder.append_extension(usage).unwrap();
        }
        Some(name) => {
            let mut names = SubjectAlternativeName::new();
            names.dns(name);
            if name == "localhost" {
                names.ip("127.0.0.1");
            }
            let names = names.build(&builder.x509v3_context(issuer.map(|i| &*i.cert), None)).unwrap();
            builder.append_extension(names).unwrap();
            let usage = ExtendedKeyUsage::new().server_auth().client_auth().build().unwrap();
            builder.append_extension(usage).unwrap();
        }
    }
    builder.sign(issuer.map_or(key, |i| &i.key), MessageDigest::sha256()).unwrap();
    builder.build()
}
