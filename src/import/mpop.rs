//! mpop's `.mpoprc`: accounts that inherit from `defaults` and from each other.
//!
//! mpop keeps its UIDLs in a file of its own, which tells what was fetched.

use std::collections::BTreeMap;

use super::draft::{Draft, Key, Note, Protocol, Setting, Value, Weight};
use super::source::{File, Surroundings};
use super::{Found, Tool};
use crate::config::fetched_before::{FetchedBefore, Fetcher};

/// The settings of an account by their keys; the last word counts.
type Settings = BTreeMap<String, Setting>;

struct Account {
    name: String,
    settings: Settings,
    /// Lines of its own, beside what it inherits.
    own: usize,
    from: Vec<String>,
}

/// Reads the configuration.
pub(super) fn read(file: &File, around: &Surroundings) -> Found {
    let mut found = Found::new(Tool::Mpop);
    let accounts = accounts(&file.text, &mut found);
    for account in &accounts {
        // `account default : a` gives an account another name, and nothing else.
        let other = accounts.iter().find(|a| account.own == 0 && account.from == [a.name.as_str()]);
        if let Some(other) = other.filter(|other| other.name != account.name) {
            let text = format!(
                "The account `{}` is `{}` under another name: `mailtide sync {}`.",
                account.name, other.name, other.name
            );
            found.notes.push(Note { at: None, weight: Weight::Moot, text });
            continue;
        }
        found.accounts.push(draft(account, file, around));
    }
    found
}

fn accounts(text: &str, found: &mut Found) -> Vec<Account> {
    let mut defaults = Settings::new();
    let mut accounts: Vec<Account> = Vec::new();
    let mut in_account = false;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        let setting = Setting { line: n + 1, key: key.to_owned(), value: value.to_owned() };
        match key {
            "defaults" => in_account = false,
            "account" => {
                let (name, from) = value.split_once(':').unwrap_or((value, ""));
                let from: Vec<String> =
                    from.split(',').map(|f| f.trim().to_owned()).filter(|f| !f.is_empty()).collect();
                let mut settings = defaults.clone();
                for base in &from {
                    match accounts.iter().find(|account| account.name == *base) {
                        Some(base) => settings.extend(base.settings.clone()),
                        None => {
                            let text = format!("{} names an account that is not there: `{base}`.", setting.shown());
                            found.notes.push(Note { at: None, weight: Weight::Differs, text });
                        }
                    }
                }
                accounts.push(Account { name: name.trim().to_owned(), settings, own: 0, from });
                in_account = true;
            }
            _ => match accounts.last_mut().filter(|_| in_account) {
                Some(account) => {
                    account.own += 1;
                    account.settings.insert(key.to_owned(), setting);
                }
                None => drop(defaults.insert(key.to_owned(), setting)),
            },
        }
    }
    accounts
}

fn draft(account: &Account, file: &File, around: &Surroundings) -> Draft {
    let mut draft =
        Draft::new(&account.name, Protocol::Pop3, format!("mpop: account {}, {}", account.name, file.path.display()));
    let on =
        |key: &str, usual: bool| account.settings.get(key).map_or(usual, |setting| setting.truth().unwrap_or(usual));
    let tls = match (on("tls", false), on("tls_starttls", true)) {
        (false, _) => "none",
        (true, true) => draft.protocol.upgrade(),
        (true, false) => "implicit",
    };
    draft.set(Key::Tls, tls);
    if tls == "none" {
        draft.note(
            Key::Tls,
            Weight::Differs,
            "Without TLS everybody on the way can read password and mail. Try \"implicit\".",
        );
    }
    draft.set(Key::Keep, Value::Truth(on("keep", false)));
    // A password goes before the command, wherever it stands.
    let clear = account.settings.get("password").is_some_and(|setting| !setting.value.is_empty());
    let counts = |setting: &&Setting| !(clear && setting.key == "passwordeval");
    let mut settings: Vec<_> = account.settings.values().filter(counts).collect();
    settings.sort_by_key(|setting| setting.line);
    for setting in settings {
        if !secured(&mut draft, setting, around) {
            one(&mut draft, setting, around);
        }
    }
    if draft.get(Key::Maildir).is_none() {
        draft.set(Key::Maildir, format!("~/Mail/{}", draft.name));
        draft.note(
            Key::Maildir,
            Weight::Differs,
            "mpop does not deliver into a Maildir, which Mailtide needs: this is a new one.",
        );
    }
    if draft.get(Key::Password).is_none() && !draft.notes().iter().any(|note| note.at == Some(Key::Password)) {
        draft.password_wanted(
            "No source of the password is set; mpop would look into the key ring and ~/.netrc, or ask.",
        );
    }
    fetched(&mut draft, account, around);
    draft
}

/// A setting about TLS or the login.
fn secured(draft: &mut Draft, setting: &Setting, around: &Surroundings) -> bool {
    let (shown, value) = (setting.shown(), setting.value.as_str());
    match setting.key.as_str() {
        "tls" | "tls_starttls" => {}
        "user" if !value.is_empty() => draft.set(Key::User, value),
        "password" if !value.is_empty() => draft.clear_password(&shown),
        "passwordeval" if !value.is_empty() => draft.password_command(&shown, value),
        "auth" => match value.to_lowercase().as_str() {
            "external" | "gssapi" | "oauthbearer" | "xoauth2" | "ntlm" => {
                draft.lost(
                    Key::Password,
                    setting,
                    "is a way to log in that this version has not: a password is needed.",
                );
            }
            _ => draft.moot(setting, "is decided by what the server has."),
        },
        "tls_trust_file" if value == "system" => draft.moot(setting, "is what Mailtide does."),
        "tls_trust_file" if !value.is_empty() => draft.set(Key::CaFile, around.path(value)),
        "tls_fingerprint" if !value.is_empty() => draft.pin(&shown, [value]),
        "tls_cert_file" if !value.is_empty() => draft.set(Key::ClientCert, around.path(value)),
        "tls_key_file" if !value.is_empty() => draft.set(Key::ClientKey, around.path(value)),
        "tls_certcheck" if setting.truth() == Some(false) => {
            draft.lost(Key::Pin, setting, "took any certificate; Mailtide does not. A `pin` says which one is right.");
        }
        "tls_certcheck" => draft.moot(setting, "is what Mailtide does."),
        "tls_crl_file" | "tls_priorities" | "tls_min_dh_prime_bits" => {
            draft.moot(setting, "is left to the system's TLS.")
        }
        "tls_host_override" => draft.lost(
            Key::Host,
            setting,
            "has no counterpart: the certificate has to be for `host`, or there is a `pin`.",
        ),
        "user" | "password" | "passwordeval" | "tls_trust_file" | "tls_fingerprint" | "tls_cert_file"
        | "tls_key_file" => {}
        _ => return false,
    }
    true
}

fn one(draft: &mut Draft, setting: &Setting, around: &Surroundings) {
    let (shown, value) = (setting.shown(), setting.value.as_str());
    match setting.key.as_str() {
        "keep" | "uidls_file" => {}
        "host" => draft.set(Key::Host, value),
        "port" => draft.port(&shown, value),
        "timeout" => draft.timeout(&shown, if value == "off" { "0" } else { value }),
        "delivery" => match value.split_once(char::is_whitespace) {
            Some(("maildir", path)) => {
                draft.set(Key::Maildir, around.path(path));
                draft.set(Key::Layout, "maildir++");
                draft.note(
                    Key::Layout,
                    Weight::Explains,
                    "In this layout the directory itself is INBOX, where mpop delivers.",
                );
            }
            _ => draft.lost(Key::Maildir, setting, "is no Maildir."),
        },
        "skipsize" | "killsize" if value == "off" => draft.moot(setting, "is the default."),
        "skipsize" => match size(value) {
            Some(octets) => draft.set(Key::MaxSize, Value::Number(octets)),
            None => draft.lost(Key::MaxSize, setting, "is no size."),
        },
        "killsize" => draft.lost(
            Key::MaxSize,
            setting,
            "deletes large messages unread; Mailtide deletes only what it has delivered.",
        ),
        "pipelining" => draft.moot(setting, "is decided by what the server has."),
        "only_new" if setting.truth() == Some(false) => {
            draft.lost(Key::Keep, setting, "fetches all again each time; Mailtide fetches a message once.")
        }
        "only_new" => draft.moot(setting, "is what Mailtide does."),
        "received_header" if setting.truth() == Some(false) => {
            draft.moot(setting, "is what Mailtide does: no header is ever added.")
        }
        "received_header" => draft.lost(None, setting, "adds a header; Mailtide adds none."),
        "filter" if !value.is_empty() => {
            draft.lost(Key::MaxSize, setting, "has no counterpart: mail is not dropped on its way.")
        }
        "source_ip" | "proxy_host" | "proxy_port" | "socket" if !value.is_empty() => {
            draft.lost(Key::Host, setting, "has no counterpart: Mailtide connects directly.");
        }
        "filter" | "source_ip" | "proxy_host" | "proxy_port" | "socket" => draft.moot(setting, "is the default."),
        "ntlmdomain" => draft.moot(setting, "is of a way to log in that is not used."),
        "eval" => draft.lost(None, setting, "was not run; what it prints is not taken over."),
        _ => draft.lost(None, setting, "is unknown and was passed over."),
    }
}

/// A size of at least one octet: a number, `k` and `m` count in 1024s.
fn size(text: &str) -> Option<u64> {
    let lower = text.trim().to_lowercase();
    let (number, factor) = match (lower.strip_suffix('k'), lower.strip_suffix('m')) {
        (Some(n), _) => (n, 1 << 10),
        (_, Some(n)) => (n, 1 << 20),
        (None, None) => (lower.as_str(), 1),
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|octets| *octets > 0)
}

/// Looks at what mpop has fetched.
fn fetched(draft: &mut Draft, account: &Account, around: &Surroundings) {
    let (Some(host), Some(user)) = (draft.text(Key::Host), draft.text(Key::User)) else { return };
    let (host, user) = (host.to_owned(), user.to_owned());
    let named = account.settings.get("uidls_file").map_or("~/.mpop_uidls/%U_at_%H", |setting| setting.value.as_str());
    // A name with a `/` in it would lead elsewhere.
    let path = named.replace("%U", &user.replace('/', "_")).replace("%H", &host.replace('/', "_"));
    super::known(draft, FetchedBefore { by: Fetcher::Mpop, path: around.real(&path) });
}

#[cfg(test)]
mod tests;
