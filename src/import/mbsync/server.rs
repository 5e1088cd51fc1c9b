//! `IMAPAccount` and `IMAPStore`: the server's keys.

use super::super::draft::{Draft, Key, Setting, Value, Weight};
use super::super::source::Surroundings;
use super::parse::{Line, Section};
use crate::config;

/// Puts the settings of an account and of the store that uses it into `draft`; the store's own count more.
pub(super) fn into(draft: &mut Draft, account: Option<&Section>, store: &Section, around: &Surroundings) {
    let sections = || account.into_iter().chain([store]);
    let tunnel = sections().any(|section| section.last(&["tunnel"]).is_some());
    let says_tls = sections().any(|section| section.last(&["ssltype", "tlstype", "useimaps"]).is_some());
    if !says_tls {
        // The default there.
        draft.set(Key::Tls, if tunnel { "none" } else { draft.protocol.upgrade() });
    }
    for line in sections().flat_map(|section| &section.settings) {
        setting(draft, line, around);
    }
    if draft.get(Key::User).is_none() && draft.get(Key::Host).is_some() {
        draft.set(Key::User, "FILL-IN");
        draft.note(Key::User, Weight::Differs, "The login name is missing in the old configuration: write it here.");
    }
    if draft.get(Key::Password).is_none() && !draft.notes().iter().any(|note| note.at == Some(Key::Password)) {
        draft.note(Key::Password, Weight::Explains, "No source of the password is set, as before: it is asked for.");
    }
}

fn setting(draft: &mut Draft, line: &Line, around: &Surroundings) {
    let (setting, shown) = (&line.setting, line.setting.shown());
    match line.key().as_str() {
        "account" | "path" | "trash" => {}
        "host" => match line.word().split_once(':') {
            Some(("imaps", host)) => {
                draft.set(Key::Host, host.trim_start_matches('/'));
                draft.set(Key::Tls, "implicit");
            }
            Some(("imap", host)) => draft.set(Key::Host, host.trim_start_matches('/')),
            _ => draft.set(Key::Host, line.word()),
        },
        "port" => draft.port(&shown, line.word()),
        "timeout" => draft.timeout(&shown, line.word()),
        "user" => draft.set(Key::User, line.word()),
        "usercmd" => draft.lost(Key::User, setting, "gets the login name from a command; write the name itself here."),
        "pass" => draft.clear_password(&shown),
        "passcmd" => draft.password_command(&shown, line.words.join(" ").trim_start_matches('+')),
        "usekeychain" if setting.truth() == Some(true) => {
            let host = draft.text(Key::Host).unwrap_or("HOST").to_owned();
            let user = draft.text(Key::User).unwrap_or("USER").to_owned();
            let line = format!("security find-internet-password -r imap -s {host} -a {user} -w");
            draft.password_command(&shown, &line);
        }
        "usekeychain" => draft.moot(setting, "is the default."),
        "ssltype" | "tlstype" => match line.word().to_ascii_lowercase().as_str() {
            "imaps" => draft.set(Key::Tls, "implicit"),
            "starttls" => draft.set(Key::Tls, draft.protocol.upgrade()),
            "none" => draft.set(Key::Tls, "none"),
            _ => draft.lost(Key::Tls, setting, "is no kind of protection that mbsync knows."),
        },
        "useimaps" => {
            draft.set(Key::Tls, if setting.truth() == Some(true) { "implicit" } else { draft.protocol.upgrade() })
        }
        "requiressl" => match setting.truth() {
            Some(false) => draft.lost(Key::Tls, setting, "allowed a connection in clear; Mailtide requires TLS."),
            Some(true) | None if draft.get(Key::Tls).is_none() => draft.set(Key::Tls, draft.protocol.upgrade()),
            Some(true) | None => {}
        },
        "certificatefile" => {
            draft.set(Key::CaFile, around.path(line.word()));
            draft.note(
                Key::CaFile,
                Weight::Explains,
                "If this holds the server's own certificate and not its authority's, `pin` says the same more strictly: \
                 `mailtide check` shows whether it is believed.",
            );
        }
        "systemcertificates" if setting.truth() == Some(false) => {
            draft.lost(
                Key::CaFile,
                setting,
                "kept the system's authorities out; Mailtide believes them too, unless there is a `pin`.",
            );
        }
        "systemcertificates" => draft.moot(setting, "is what Mailtide does."),
        "clientcertificate" => draft.set(Key::ClientCert, around.path(line.word())),
        "clientkey" => draft.set(Key::ClientKey, around.path(line.word())),
        "tunnel" => draft.lost(
            Key::Host,
            setting,
            "connects through a command, which Mailtide cannot; a forwarded port would do, such as `ssh -L`.",
        ),
        "authmechs" | "authmech" => mechanisms(draft, line),
        "pipelinedepth" => {
            draft.lost(
                Key::Connections,
                setting,
                "limits the commands in flight; Mailtide's limit is fixed, so one connection spares the server.",
            );
            draft.set(Key::Connections, Value::Number(1));
        }
        "disableextension" | "disableextensions" => disabled(draft, line),
        "sslversion" | "sslversions" | "tlsversion" | "tlsversions" | "cipherstring" => {
            draft.moot(setting, "is left to the system's TLS.");
        }
        "usenamespace" if setting.truth() == Some(false) => {
            draft.lost(
                Key::Mailboxes,
                setting,
                "has no counterpart: Mailtide leaves the server's own prefix out of names.",
            );
        }
        "usenamespace" | "pathdelimiter" => draft.moot(setting, "is found out by asking the server."),
        "subscribedonly" if setting.truth() != Some(false) => {
            draft.lost(
                Key::Mailboxes,
                setting,
                "has no counterpart: Mailtide does not look at subscriptions; name the mailboxes here.",
            );
        }
        "subscribedonly" => draft.moot(setting, "is what Mailtide does."),
        "trashnewonly" | "trashremotenew" => draft.lost(Key::Deletions, setting, "has no counterpart."),
        "mapinbox" => draft.lost(Key::Rename, setting, "has no counterpart: INBOX keeps its name."),
        "flatten" => draft.lost(Key::Rename, setting, "has no counterpart on the server's side."),
        "maxsize" => draft.lost(Key::Mailboxes, setting, "has no counterpart: Mailtide takes messages of every size."),
        _ => draft.lost(None, setting, "is unknown and was passed over."),
    }
}

fn mechanisms(draft: &mut Draft, line: &Line) {
    if line.says("*") {
        return draft.moot(&line.setting, "is the default.");
    }
    let known = ["LOGIN", "PLAIN"];
    if !line.words.iter().any(|word| known.iter().any(|k| word.eq_ignore_ascii_case(k))) {
        return draft.lost(
            Key::Disable,
            &line.setting,
            "names no way to log in that this version has: a password, by AUTHENTICATE PLAIN or LOGIN.",
        );
    }
    if !line.says("PLAIN") {
        draft.add(Key::Disable, ["AUTH=PLAIN".to_owned()]);
    }
    draft.note(Key::Disable, Weight::Explains, format!("{}.", line.setting.shown()));
}

fn disabled(draft: &mut Draft, line: &Line) {
    for word in &line.words {
        let name = match word.to_ascii_uppercase().as_str() {
            "COMPRESS" => "COMPRESS=DEFLATE".to_owned(),
            name => name.to_owned(),
        };
        if config::can_disable(&name) {
            draft.add(Key::Disable, [name]);
        } else {
            let Setting { key, line, .. } = &line.setting;
            let text = format!("`{key} {word}` (line {line}) names an extension that Mailtide never uses.");
            draft.note(None, Weight::Moot, text);
        }
    }
}
