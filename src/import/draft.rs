//! An account as it was found in another tool's configuration: Mailtide's keys with values, and what there is to say.
//!
//! Everything that the old configuration says ends in a value or in a note; nothing is dropped. A note has its place, so
//! that it can stand as a comment where a person looks for it.

use std::collections::BTreeMap;
use std::time::Duration;

pub use super::key::{Key, Protocol, Table};
pub use super::setting::Setting;

/// A value, as far as TOML tells them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Number(u64),
    /// `true` or `false`.
    Truth(bool),
    /// An array of strings.
    List(Vec<String>),
    /// An inline table of strings under names of mailboxes.
    Pairs(Vec<(String, String)>),
    /// Where a password comes from: the kind of source, and which.
    Source(&'static str, String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Mailtide will do something else than the old tool did, or a person has to do something.
    Differs,
    /// A setting that Mailtide needs no counterpart of.
    Moot,
    /// Explains a value; a comment only.
    Explains,
}

/// Something to say to a person, in full sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The key it belongs to; `None`: the account as a whole.
    pub at: Option<Key>,
    /// How much it matters.
    pub weight: Weight,
    /// What there is to say; each line is a line of the comment.
    pub text: String,
}

/// An account on its way into a Mailtide configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What it is to be called.
    pub name: String,
    /// The protocol of its server.
    pub protocol: Protocol,
    /// Where it comes from, for the comment above it.
    pub from: String,
    values: BTreeMap<Key, Value>,
    notes: Vec<Note>,
}

/// Mailtide's limits of `timeout`.
const TIMEOUTS: std::ops::RangeInclusive<u64> = 1..=3600;

impl Draft {
    /// An account without any setting.
    pub fn new(name: &str, protocol: Protocol, from: impl Into<String>) -> Draft {
        let name: String = name.chars().map(|c| if c == '/' || c.is_control() { '-' } else { c }).collect();
        let name = name.trim().trim_start_matches('-').to_owned();
        let name = if name.is_empty() { "mail".to_owned() } else { name };
        Draft { name, protocol, from: from.into(), values: BTreeMap::new(), notes: Vec::new() }
    }

    /// Sets a key; the last word counts.
    pub fn set(&mut self, key: Key, value: impl Into<Value>) {
        self.values.insert(key, value.into());
    }

    /// Adds to a list; there is one then, even of nothing.
    pub fn add(&mut self, key: Key, items: impl IntoIterator<Item = String>) {
        match self.values.get_mut(&key) {
            Some(Value::List(list)) => list.extend(items),
            _ => drop(self.values.insert(key, Value::List(items.into_iter().collect()))),
        }
    }

    /// Adds to an inline table.
    pub fn add_pairs(&mut self, key: Key, pairs: impl IntoIterator<Item = (String, String)>) {
        match self.values.get_mut(&key) {
            Some(Value::Pairs(known)) => known.extend(pairs),
            _ => drop(self.values.insert(key, Value::Pairs(pairs.into_iter().collect()))),
        }
    }

    /// Takes a key out again.
    pub fn unset(&mut self, key: Key) {
        self.values.remove(&key);
    }

    /// The value of a key.
    pub fn get(&self, key: Key) -> Option<&Value> {
        self.values.get(&key)
    }

    /// The value of a key that is a string.
    pub fn text(&self, key: Key) -> Option<&str> {
        match self.values.get(&key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Says something.
    pub fn note(&mut self, at: impl Into<Option<Key>>, weight: Weight, text: impl Into<String>) {
        let note = Note { at: at.into(), weight, text: text.into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// What there is to say, in the order in which it was found.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Keeps the server unchanged until a person has looked, because local names may not be those on the server: what
    /// is in the tree under another name would be made there anew.
    pub fn hold(&mut self, why: &str) {
        self.set(Key::Direction, "pull");
        let text = format!(
            "{why}\nUntil `rename` says which mailbox of the tree is which on the server, nothing is changed there. \
             Compare `mailtide mailboxes`, then take this line out."
        );
        self.note(Key::Direction, Weight::Differs, text);
    }

    /// Sets how long silence may last, of a setting in seconds.
    pub fn timeout(&mut self, setting: &str, seconds: &str) {
        match seconds.trim().parse::<u64>() {
            Ok(0) => {
                self.note(Key::Timeout, Weight::Differs, format!("{setting} is no limit; Mailtide's longest is 1h."));
                self.set(Key::Timeout, "1h");
            }
            Ok(n) if TIMEOUTS.contains(&n) => self.set(Key::Timeout, format!("{}s", Duration::from_secs(n).as_secs())),
            _ => self.note(
                Key::Timeout,
                Weight::Differs,
                format!("{setting} is none of 1 to 3600 seconds; Mailtide waits for its own 30s."),
            ),
        }
    }

    /// Sets the port, which may be written as anything.
    pub fn port(&mut self, setting: &str, port: &str) {
        match port.trim().parse::<u16>() {
            Ok(port) if port != 0 => self.set(Key::Port, Value::Number(port.into())),
            _ => self.note(Key::Port, Weight::Differs, format!("{setting} is no number of a port.")),
        }
    }

    /// Sets the pin to the first SHA-256 of `fingerprints`; other kinds are no pins.
    pub fn pin<'a>(&mut self, setting: &str, fingerprints: impl IntoIterator<Item = &'a str>) {
        let plain = |f: &str| f.chars().filter(|c| !matches!(c, ':' | ' ')).collect::<String>().to_ascii_lowercase();
        let is_sha256 = |f: &String| f.len() == 64 && f.bytes().all(|b| b.is_ascii_hexdigit());
        let (fit, other): (Vec<_>, Vec<_>) = fingerprints.into_iter().map(plain).partition(is_sha256);
        let mut fit = fit.into_iter();
        if let Some(first) = fit.next() {
            self.set(Key::Pin, first);
        }
        for more in fit {
            self.note(Key::Pin, Weight::Differs, format!("{setting} allows {more} too; Mailtide takes one pin."));
        }
        if !other.is_empty() {
            self.note(
                Key::Pin,
                Weight::Differs,
                format!(
                    "{setting} holds a fingerprint that is no SHA-256, which a pin has to be. This prints one:\n    \
                     openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout -fingerprint -sha256"
                ),
            );
        }
    }

    /// Leaves out what only TLS has a use for, where there is to be none: Mailtide refuses what it would not heed.
    pub fn without_tls(&mut self) {
        if self.text(Key::Tls) != Some("none") {
            return;
        }
        for key in [Key::CaFile, Key::Pin, Key::ClientCert, Key::ClientKey] {
            if self.values.remove(&key).is_some() {
                let name = key.name().0;
                self.note(Key::Tls, Weight::Moot, format!("Without TLS nothing is verified: there is no `{name}`."));
            }
        }
    }

    /// Sets the command that prints the password, unless its line holds the password itself.
    pub fn password_command(&mut self, setting: &str, line: &str) {
        let line = line.trim();
        let program = line.split_whitespace().next().unwrap_or_default();
        if matches!(program.rsplit('/').next(), Some("echo" | "printf")) {
            self.clear_password(setting);
        } else if line.is_empty() || line.contains(char::is_control) {
            self.note(Key::Password, Weight::Differs, format!("{setting} holds no command that fits in one line."));
        } else {
            self.set(Key::Password, Value::Source("command", line.to_owned()));
        }
    }

    /// Says that a password stands in clear text in the old configuration, and does not copy it.
    pub fn clear_password(&mut self, setting: &str) {
        self.password_wanted(&format!("{setting} holds the password in clear text; it is not copied."));
    }

    /// Says why no source of the password is set, and what can be written.
    pub fn password_wanted(&mut self, why: &str) {
        let text = format!(
            "{why}\nWithout this line it is taken from $MAILTIDE_PASSWORD or asked for. Write one of:\n\
             password = {{ command = \"pass show mail/{name}\" }}\n\
             password = {{ file = \"~/.config/mailtide/{name}.password\" }}      (mode 600)",
            name = self.name.replace(['"', '\\', ' '], "-"),
        );
        self.note(Key::Password, Weight::Differs, text);
    }

    /// Says that a setting has no counterpart; `why` goes on after its name.
    pub fn lost(&mut self, at: impl Into<Option<Key>>, setting: &Setting, why: &str) {
        self.note(at, Weight::Differs, format!("{} {why}", setting.shown()));
    }

    /// Says that a setting needs no counterpart; `why` goes on after its name.
    pub fn moot(&mut self, setting: &Setting, why: &str) {
        self.note(None, Weight::Moot, format!("{} {why}", setting.shown()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let setting = |key: &str, value: &str| Setting { line: 3, key: key.into(), value: value.into() }.shown();
        for key in ["Pass", "password", "remotepass", "oauth2_client_secret", "oauth2_refresh_token"] {
            assert_eq!(setting(key, "hunter2"), format!("`{key} …` (line 3)"));
        }
        assert_eq!(setting("remotepasseval", "get('x')"), "`remotepasseval get('x')` (line 3)");
        let mut draft = Draft::new("a", Protocol::Imap, "");
        draft.password_command("PassCmd", "/bin/echo hunter2");
        assert_eq!(draft.get(Key::Password), None);
        assert!(!format!("{draft:?}").contains("hunter2"));
    }

    #[test]
    fn only_a_sha_256_is_a_pin() {
        let mut draft = Draft::new("/a b", Protocol::Imap, "");
        assert_eq!(draft.name, "a b");
        let sha256 = "AB:".repeat(31) + "AB";
        draft.pin("cert_fingerprint", ["bbfe29cf97acb204591edbafe0aa8c8f914287c9", &sha256]);
        assert_eq!(draft.text(Key::Pin), Some("ab".repeat(32).as_str()));
        assert!(draft.notes()[0].text.contains("no SHA-256"));
    }

    #[test]
    fn numbers_out_of_range_are_told() {
        let mut draft = Draft::new("a", Protocol::Imap, "");
        draft.timeout("Timeout 0", "0");
        assert_eq!(draft.text(Key::Timeout), Some("1h"));
        draft.port("Port x", "x");
        draft.timeout("Timeout 9999", "9999");
        assert_eq!(draft.notes().len(), 3);
    }
}
