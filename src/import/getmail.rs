//! getmail's rc files, one account each: a POP3 account, or an IMAP account that only follows the server.
//!
//! getmail adds headers to what it delivers, so what it has fetched is not recognised by its content; the `oldmail` file
//! beside the rc file tells its UIDLs.

use super::draft::{Draft, Key, Note, Protocol, Setting, Value, Weight};
use super::ini::{Ini, Section};
use super::source::{File, Surroundings};
use super::tree::quoted;
use super::{Found, Tool};
use crate::config::fetched_before::{self, FetchedBefore, Fetcher};

/// Reads an rc file.
pub(super) fn read(file: &File, around: &Surroundings) -> Found {
    let ini = Ini::parse(&file.text);
    let mut found = Found::new(Tool::Getmail);
    let mut say = |weight, text: String| found.notes.push(Note { at: None, weight, text });
    let name = file.path.display();
    let Some(retriever) = ini.section("retriever") else {
        // A log, say: of its lines there is nothing more to tell.
        say(Weight::Differs, format!("{name} has no [retriever]."));
        return found;
    };
    for line in &ini.odd {
        say(Weight::Differs, format!("{name}: Line {line} could not be understood and was passed over."));
    }
    let kind = retriever.text("type").unwrap_or_default();
    let (protocol, tls) = match kind {
        "SimplePOP3Retriever" | "BrokenUIDLPOP3Retriever" | "MultidropPOP3Retriever" | "MultidropSDPSRetriever" => {
            (Protocol::Pop3, false)
        }
        "SimplePOP3SSLRetriever" | "BrokenUIDLPOP3SSLRetriever" | "MultidropPOP3SSLRetriever" => (Protocol::Pop3, true),
        "SimpleIMAPRetriever" | "MultidropIMAPRetriever" => (Protocol::Imap, false),
        "SimpleIMAPSSLRetriever" | "MultidropIMAPSSLRetriever" => (Protocol::Imap, true),
        other => {
            say(Weight::Differs, format!("{name}: `type = {other}` is no retriever that getmail knows."));
            return found;
        }
    };
    let mut draft = Draft::new(&account_name(file, retriever), protocol, format!("getmail: {name}"));
    if kind.starts_with("Multidrop") {
        draft.note(
            Key::Maildir,
            Weight::Differs,
            format!("`{kind}` tells mail apart by its recipients; here all of it goes to one place."),
        );
    }
    if kind.starts_with("BrokenUIDL") {
        draft.note(
            None,
            Weight::Moot,
            format!("`{kind}` is not needed: a server without UIDL, or with a broken one, is managed by content."),
        );
    }
    draft.set(Key::Tls, if tls { "implicit" } else { "none" });
    if !tls {
        draft.note(
            Key::Tls,
            Weight::Differs,
            format!("`{kind}` has no TLS: everybody on the way can read password and mail. Try \"implicit\"."),
        );
    }
    for setting in &retriever.settings {
        retrieve(&mut draft, setting, around);
    }
    destination(&mut draft, &ini, around);
    let none = Section::default();
    let options = ini.section("options").unwrap_or(&none);
    keep(&mut draft, options);
    for setting in &options.settings {
        option(&mut draft, setting);
    }
    for section in ini.sections.iter().filter(|s| !["retriever", "destination", "options"].contains(&s.name.as_str())) {
        let what = if section.name.starts_with("filter") {
            "mail is not changed or dropped on its way"
        } else {
            "there is one place for all mail"
        };
        draft.note(Key::Maildir, Weight::Differs, format!("[{}] has no counterpart: {what}.", section.name));
    }
    if draft.get(Key::Password).is_none() && !draft.notes().iter().any(|note| note.at == Some(Key::Password)) {
        draft.password_wanted("No source of the password is set; getmail would look into its key ring, or ask.");
    }
    if protocol == Protocol::Pop3 {
        fetched(&mut draft, file);
    }
    found.accounts.push(draft);
    found
}

fn account_name(file: &File, retriever: &Section) -> String {
    let stem = file.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    match stem.as_str() {
        "getmailrc" | ".getmailrc" => {
            let user = retriever.text("username").unwrap_or_default();
            user.split('@').next().unwrap_or_default().to_owned()
        }
        _ => stem,
    }
}

fn retrieve(draft: &mut Draft, setting: &Setting, around: &Surroundings) {
    let shown = setting.shown();
    match setting.key.as_str() {
        "type" => {}
        "server" => draft.set(Key::Host, setting.value.clone()),
        "port" => draft.port(&shown, &setting.value),
        "username" => draft.set(Key::User, setting.value.clone()),
        "password" => draft.clear_password(&shown),
        "password_command" => match tuple(&setting.value) {
            Some(words) => {
                let line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
                draft.password_command(&shown, &line);
            }
            None => draft.password_wanted(&format!("{shown} is no list of quoted words.")),
        },
        "timeout" => draft.timeout(&shown, &setting.value),
        "ca_certs" => draft.set(Key::CaFile, around.path(&setting.value)),
        "certfile" => draft.set(Key::ClientCert, around.path(&setting.value)),
        "keyfile" => draft.set(Key::ClientKey, around.path(&setting.value)),
        "ssl_fingerprints" => match tuple(&setting.value) {
            Some(prints) => draft.pin(&shown, prints.iter().map(String::as_str)),
            None => draft.lost(Key::Pin, setting, "is no list of quoted words."),
        },
        "ssl_ciphers" | "ssl_version" => draft.moot(setting, "is left to the system's TLS."),
        "ssl_cert_hostname" => draft.lost(
            Key::Host,
            setting,
            "has no counterpart: the certificate has to be for `host`, or there is a `pin`.",
        ),
        "mailboxes" => match tuple(&setting.value) {
            Some(names) if names.iter().any(|name| name == "ALL") => {
                draft.set(Key::Mailboxes, Value::List(vec!["*".into()]))
            }
            Some(names) if !names.is_empty() => {
                let dotted = names.iter().any(|name| name.contains('.'));
                draft.set(Key::Mailboxes, Value::List(names));
                if dotted {
                    draft.lost(
                        Key::Mailboxes,
                        setting,
                        "may need another sign: names have `/` between the levels here.",
                    );
                }
            }
            _ => draft.lost(Key::Mailboxes, setting, "is no list of quoted names."),
        },
        "use_apop" => draft.moot(setting, "is decided by what the server has."),
        "use_peek" => draft.moot(setting, "is what Mailtide does: nothing is marked as read by being fetched."),
        "delete_dup_msgids" => {
            draft.lost(Key::Keep, setting, "has no counterpart: of two messages with one UIDL both are fetched.")
        }
        "move_on_delete" => draft.lost(Key::Deletions, setting, "has no counterpart: nothing is moved on the server."),
        "imap_search" | "imap_on_delete" => {
            draft.lost(Key::Mailboxes, setting, "has no counterpart: all messages are fetched.")
        }
        "envelope_recipient" => draft.lost(Key::Maildir, setting, "has no counterpart: all mail goes to one place."),
        "use_kerberos" | "use_xoauth2" | "token_config" => {
            draft.lost(Key::Password, setting, "is a way to log in that this version has not: a password is needed.");
        }
        _ => draft.lost(None, setting, "is unknown and was passed over."),
    }
}

/// Where the mail goes: a Maildir is a tree whose root is INBOX.
fn destination(draft: &mut Draft, ini: &Ini, around: &Surroundings) {
    let none = Section::default();
    let section = ini.section("destination").unwrap_or(&none);
    let kind = section.text("type").unwrap_or_default();
    let path = section.text("path").map(|path| around.path(path)).filter(|_| kind == "Maildir");
    match path {
        Some(path) => {
            draft.set(Key::Maildir, path);
            draft.set(Key::Layout, "maildir++");
            draft.note(
                Key::Layout,
                Weight::Explains,
                "In this layout the directory itself is INBOX, where getmail delivers.",
            );
        }
        None => {
            draft.set(Key::Maildir, format!("~/Mail/{}", draft.name));
            draft.note(
                Key::Maildir,
                Weight::Differs,
                format!("`type = {kind}` in [destination] is no Maildir, which Mailtide needs: this is a new one."),
            );
        }
    }
    for setting in &section.settings {
        match setting.key.as_str() {
            "type" => {}
            "path" if kind == "Maildir" => {}
            "user" => draft.lost(Key::Maildir, setting, "has no counterpart: run `mailtide` as that user."),
            "filemode" => draft.lost(Key::Maildir, setting, "has no counterpart: files are for their owner alone."),
            _ => draft.lost(Key::Maildir, setting, "belongs to a destination that Mailtide has not."),
        }
    }
}

/// What becomes of mail on the server.
fn keep(draft: &mut Draft, options: &Section) {
    let deletes = options.get("delete").is_some_and(|setting| setting.truth() == Some(true));
    let days = options.text("delete_after").and_then(|days| days.parse::<u64>().ok()).filter(|days| *days > 0);
    match draft.protocol {
        Protocol::Pop3 => match (deletes, days) {
            (true, _) => draft.set(Key::Keep, Value::Truth(false)),
            (false, Some(days)) => draft.set(Key::Keep, format!("{days}d")),
            (false, None) => draft.set(Key::Keep, Value::Truth(true)),
        },
        Protocol::Imap => {
            draft.set(Key::Direction, "pull");
            draft.set(Key::Deletions, "never");
            draft.note(
                Key::Direction,
                Weight::Explains,
                "As with getmail, mail comes down; what goes on the server later stays here, and nothing is changed there.",
            );
            if deletes || days.is_some() {
                let text = "getmail deletes on the server what it has fetched; Mailtide never does that over IMAP. \
                            If the account has POP3, `[accounts.NAME.pop3]` can, with `keep`.";
                draft.note(Key::Deletions, Weight::Differs, text);
            }
            if draft.get(Key::Mailboxes).is_none() {
                draft.set(Key::Mailboxes, Value::List(vec!["INBOX".into()]));
            }
            let one = matches!(draft.get(Key::Mailboxes), Some(Value::List(names)) if *names == ["INBOX"]);
            if !one {
                let text = "getmail puts all mailboxes into one; here each has a directory of its own.";
                draft.note(Key::Mailboxes, Weight::Differs, text);
            }
        }
    }
}

fn option(draft: &mut Draft, setting: &Setting) {
    let zero = setting.value.trim() == "0";
    let pop3 = draft.protocol == Protocol::Pop3;
    match setting.key.as_str() {
        "delete" | "delete_after" => {}
        "read_all" if setting.truth() == Some(true) => {
            draft.moot(setting, "is not needed: what was fetched once is not fetched again.");
        }
        "read_all" => draft.moot(setting, "is what Mailtide does."),
        "max_message_size" | "max_messages_per_session" | "max_bytes_per_session" | "delete_bigger_than" if zero => {
            draft.moot(setting, "is the default.");
        }
        "max_message_size" | "max_messages_per_session" if pop3 => {
            let key = if setting.key == "max_message_size" { Key::MaxSize } else { Key::MaxMessages };
            match setting.value.trim().parse() {
                Ok(n) => draft.set(key, Value::Number(n)),
                Err(_) => draft.lost(key, setting, "is no number."),
            }
        }
        "max_message_size" | "max_messages_per_session" | "max_bytes_per_session" => {
            draft.lost(None, setting, "has no counterpart: all messages are fetched.");
        }
        "delete_bigger_than" => {
            draft.lost(Key::Keep, setting, "has no counterpart: `keep` is for messages of every size.")
        }
        "delivered_to" | "received" if setting.truth() == Some(false) => {
            draft.moot(setting, "is what Mailtide does: no header is ever added.")
        }
        "delivered_to" | "received" => draft.lost(None, setting, "adds a header; Mailtide adds none."),
        "verbose" | "message_log" | "message_log_syslog" | "message_log_verbose" | "logfile" => {
            draft.moot(setting, "has `--quiet`, `--verbose` and `--json` in its place.");
        }
        "to_oldmail_on_each_mail" | "skip_imap_fetch_size" => draft.moot(setting, "is not needed."),
        "use_netrc" | "netrc_file" => {
            draft.lost(Key::Password, setting, "has no counterpart: Mailtide does not read that file.")
        }
        _ => draft.lost(None, setting, "is unknown and was passed over."),
    }
}

/// Looks at what getmail has fetched.
fn fetched(draft: &mut Draft, file: &File) {
    let port = match (draft.get(Key::Port), draft.text(Key::Tls)) {
        (Some(Value::Number(port)), _) => u16::try_from(*port).unwrap_or_default(),
        (_, Some("implicit")) => 995,
        _ => 110,
    };
    let (Some(host), Some(user)) = (draft.text(Key::Host), draft.text(Key::User)) else { return };
    let path = file.path.with_file_name(fetched_before::getmail_file(host, port, user));
    super::known(draft, FetchedBefore { by: Fetcher::Getmail, path });
}

/// A Python tuple of quoted words: `("a", 'b')`.
fn tuple(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix('(')?.strip_suffix(')')?.trim();
    let mut words = Vec::new();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let mut word = String::new();
        let mut chars = rest.get(1..)?.char_indices();
        let end = loop {
            match chars.next()? {
                (_, '\\') => word.extend(chars.next().map(|(_, c)| c)),
                (at, c) if c == quote => break at,
                (_, c) => word.push(c),
            }
        };
        words.push(word);
        rest = rest.get(end + 2..)?.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(words)
}

#[cfg(test)]
mod tests;
