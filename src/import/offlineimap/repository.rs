//! The two repositories: the server's keys, and the tree's.

use super::super::source::Surroundings;
use super::super::tree::{self, Naming};
use super::{Draft, Key, Section, Setting, Value, Weight};

/// Puts the server's side into `draft`.
pub(super) fn remote(draft: &mut Draft, section: &Section, around: &Surroundings) {
    let is_gmail = section.text("type").is_some_and(|kind| kind.eq_ignore_ascii_case("gmail"));
    if is_gmail {
        draft.set(Key::Host, "imap.gmail.com");
    }
    let off = |key: &str| section.get(key).and_then(Setting::truth) == Some(false);
    let tls = match (off("ssl") && !is_gmail, off("starttls")) {
        (false, _) => "implicit",
        (true, false) => {
            let text = "`ssl = no` with `starttls` took TLS where the server had it; Mailtide requires it.";
            draft.note(Key::Tls, Weight::Explains, text);
            draft.protocol.upgrade()
        }
        (true, true) => "none",
    };
    draft.set(Key::Tls, tls);
    for setting in &section.settings {
        if !credential(draft, setting, around) && !mailboxes(draft, setting) {
            connection(draft, setting, around);
        }
    }
    if draft.get(Key::Host).is_some() && draft.get(Key::User).is_none() {
        draft.set(Key::User, "FILL-IN");
        draft.note(Key::User, Weight::Differs, "The login name is missing in the old configuration: write it here.");
    }
    if draft.get(Key::Password).is_none() && !draft.notes().iter().any(|note| note.at == Some(Key::Password)) {
        draft.password_wanted(
            "No source of the password is set. OfflineIMAP would look into ~/.netrc, which Mailtide does not, or ask.",
        );
    }
}

/// A setting about the login.
fn credential(draft: &mut Draft, setting: &Setting, around: &Surroundings) -> bool {
    let shown = setting.shown();
    match setting.key.as_str() {
        "remoteuser" => draft.set(Key::User, setting.value.clone()),
        "remoteusereval" => draft.lost(Key::User, setting, "is Python, which is not run: write the login name here."),
        "remotepass" => draft.clear_password(&shown),
        "remotepassfile" => {
            draft.set(Key::Password, Value::Source("file", around.path(&setting.value)));
            draft.note(
                Key::Password,
                Weight::Explains,
                "The file holds the password and nothing else, and has mode 600.",
            );
        }
        "remotepasseval" => draft.password_wanted(&format!("{shown} is Python, which is not run.")),
        key if key.starts_with("oauth2_") => {
            draft.lost(
                Key::Password,
                setting,
                "is about OAuth2, which this version cannot: use a password for this program alone.",
            );
        }
        "auth_mechanisms" => {
            let known = |way: &str| ["plain", "login"].contains(&way.trim().to_lowercase().as_str());
            match setting.value.split(',').any(known) {
                true => draft.moot(setting, "is decided by what the server has: PLAIN, else LOGIN."),
                false => draft.lost(
                    Key::Password,
                    setting,
                    "names no way to log in that this version has: a password, by PLAIN or LOGIN.",
                ),
            }
        }
        "remote_identity" => draft.lost(Key::User, setting, "has no counterpart: the account is that of the login."),
        _ => return false,
    }
    true
}

/// A setting about which mailboxes take part.
fn mailboxes(draft: &mut Draft, setting: &Setting) -> bool {
    match setting.key.as_str() {
        "folderfilter" => match filter(&setting.value) {
            Some(globs) => {
                let prefix = globs.iter().any(|glob| glob.contains('.'));
                draft.set(Key::Mailboxes, Value::List(globs));
                if prefix {
                    let text = "Names have `/` between the levels here, whatever the server has.";
                    draft.note(Key::Mailboxes, Weight::Differs, format!("{} {text}", setting.shown()));
                }
            }
            None => draft.lost(Key::Mailboxes, setting, "is Python, which is not run: write patterns here, such as [\"*\", \"!Spam\"]. Until then all mailboxes take part."),
        },
        "folderincludes" => draft.lost(Key::Mailboxes, setting, "takes in more: add those names here."),
        "subscribedonly" if setting.truth() == Some(true) => {
            draft.lost(Key::Mailboxes, setting, "has no counterpart: Mailtide does not look at subscriptions; name the mailboxes here.");
        }
        "subscribedonly" | "dynamic_folderfilter" | "foldersort" => draft.moot(setting, "is not needed."),
        "nametrans" => draft.hold(&format!("{} is Python, which is not run.", setting.shown())),
        "reference" => draft.lost(Key::Mailboxes, setting, "has no counterpart: names are those that the server lists."),
        "decodefoldernames" => draft.moot(setting, "is how Mailtide writes names; directories that are there keep theirs."),
        "createfolders" if setting.truth() == Some(false) => {
            draft.lost(Key::Direction, setting, "has no counterpart: a mailbox that is new in the tree is made on the server too.");
        }
        "createfolders" => draft.moot(setting, "is the default."),
        "copy_ignore_eval" => draft.lost(Key::Mailboxes, setting, "has no counterpart: a message that fails is reported, and the rest goes on."),
        "spamfolder" => draft.moot(setting, "is found out by asking the server."),
        "trashfolder" => draft.set(Key::Trash, setting.value.clone()),
        _ => return false,
    }
    true
}

/// A setting about the connection, and all others.
fn connection(draft: &mut Draft, setting: &Setting, around: &Surroundings) {
    let shown = setting.shown();
    match setting.key.as_str() {
        "type" | "readonly" | "sync_deletes" | "expunge" | "ssl" | "starttls" => {}
        "remotehost" => draft.set(Key::Host, setting.value.clone()),
        "remotehosteval" => draft.lost(Key::Host, setting, "is Python, which is not run: write the host here."),
        "remoteport" => draft.port(&shown, &setting.value),
        "remoteporteval" => draft.lost(
            Key::Port,
            setting,
            "is Python, which is not run: write the port here, unless it is the usual one.",
        ),
        "sslcacertfile" if setting.value.eq_ignore_ascii_case("OS-DEFAULT") => {
            draft.moot(setting, "is what Mailtide does.")
        }
        "sslcacertfile" => draft.set(Key::CaFile, around.path(&setting.value)),
        "cert_fingerprint" => draft.pin(&shown, setting.value.split(',')),
        "sslclientcert" => draft.set(Key::ClientCert, around.path(&setting.value)),
        "sslclientkey" => draft.set(Key::ClientKey, around.path(&setting.value)),
        "ssl_version" | "tls_level" => draft.moot(setting, "is left to the system's TLS."),
        "maxconnections" => match setting.value.parse() {
            Ok(n @ 1..=32) => draft.set(Key::Connections, Value::Number(n)),
            _ => draft.lost(Key::Connections, setting, "is no number from 1 to 32."),
        },
        "usecompression" => draft.set(Key::Compress, Value::Truth(setting.truth() == Some(true))),
        "preauthtunnel" | "transporttunnel" => {
            draft.lost(
                Key::Host,
                setting,
                "connects through a command, which Mailtide cannot; a forwarded port would do, such as `ssh -L`.",
            );
        }
        "ipv6" | "retrycount" | "singlethreadperfolder" => {
            draft.moot(setting, "is not needed: all addresses are tried, and again.")
        }
        "holdconnectionopen" | "keepalive" => draft.moot(setting, "is not needed: a run ends."),
        "idlefolders" => {
            draft.lost(None, setting, "waited for new mail: a timer or cron runs `mailtide sync` instead.")
        }
        "newmail_hook" => draft.lost(None, setting, "is Python, which is not run."),
        _ => draft.lost(None, setting, "is unknown and was passed over."),
    }
}

/// `lambda f: f in ['A', 'B']`, or `not in`.
fn filter(python: &str) -> Option<Vec<String>> {
    let python: String = python.lines().map(|line| line.trim().trim_end_matches('\\')).collect::<Vec<_>>().join(" ");
    let (argument, body) = python.trim().strip_prefix("lambda ")?.split_once(':')?;
    let rest = body.trim().strip_prefix(argument.trim())?;
    let rest = rest.strip_prefix(' ').map(str::trim)?;
    let (sign, rest) = match rest.strip_prefix("not ") {
        Some(rest) => ("!", rest.trim()),
        None => ("", rest),
    };
    let list = rest.strip_prefix("in")?.trim();
    let inner = list
        .strip_prefix('[')
        .and_then(|l| l.strip_suffix(']'))
        .or_else(|| list.strip_prefix('(')?.strip_suffix(')'))?;
    let mut globs = Vec::new();
    for item in inner.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let quote = item.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let name = item.strip_prefix(quote)?.strip_suffix(quote)?;
        if name.is_empty() || name.contains([quote, '\\']) {
            return None;
        }
        globs.push(format!("{sign}{name}"));
    }
    (!globs.is_empty()).then_some(globs)
}

/// Puts the tree's side into `draft`.
pub(super) fn local(draft: &mut Draft, section: &Section, remote: &Section, account: &Section, around: &Surroundings) {
    for setting in &section.settings {
        of_tree(draft, setting);
    }
    if draft.get(Key::Mailboxes).is_none() {
        draft.set(Key::Mailboxes, Value::List(vec!["*".into()]));
    }
    let Some(root) = section.text("localfolders").map(|path| around.path(path)) else { return };
    draft.set(Key::Maildir, root.clone());
    draft.set(Key::Layout, "nested");
    // Directories have names that Python has made: which mailbox each is, is not to be seen.
    if [section, remote].iter().any(|section| section.get("nametrans").is_some()) {
        let seen = tree::directories(&around.real(&root));
        if !seen.is_empty() {
            let list: Vec<_> = seen.iter().map(|dir| format!("\"SERVER/NAME\" = {dir:?}")).collect();
            draft.note(
                Key::Rename,
                Weight::Explains,
                format!("These directories are in the tree:\nrename = {{ {} }}", list.join(", ")),
            );
        }
        return;
    }
    let sign = section.text("sep").and_then(|sep| sep.chars().next()).unwrap_or('.');
    let naming = if sign == '/' { Naming::Nested } else { Naming::Flat(sign) };
    if sign != '/' {
        let text = format!(
            "OfflineIMAP writes `{sign}` between the levels of a name; mailboxes made from now on are nested directories."
        );
        draft.note(Key::Layout, Weight::Explains, text);
    }
    let decoded = account.get("utf8foldernames").and_then(Setting::truth) == Some(true);
    let names = tree::names(&around.real(&root), naming);
    if decoded && names.renames.is_empty() && names.foreign.is_empty() {
        return;
    }
    tree::into(draft, &root, names, "OfflineIMAP");
}

fn of_tree(draft: &mut Draft, setting: &Setting) {
    match setting.key.as_str() {
        "type" | "localfolders" | "readonly" | "sync_deletes" | "sep" => {}
        "nametrans" => draft.hold(&format!("{} is Python, which is not run.", setting.shown())),
        "folderfilter" | "folderincludes" => {
            draft.lost(Key::Mailboxes, setting, "is about the tree's names: write patterns here.")
        }
        "createfolders" if setting.truth() == Some(false) => {
            draft.lost(
                Key::Direction,
                setting,
                "has no counterpart: a mailbox that is new on the server is made in the tree too.",
            );
        }
        "startdate" => draft.lost(Key::Mailboxes, setting, "has no counterpart: Mailtide takes mail of every age."),
        "utime_from_header" => {
            draft.lost(Key::Maildir, setting, "has no counterpart: a file has the time of its arrival.")
        }
        "filename_use_mail_timestamp" | "restoreatime" | "createfolders" => draft.moot(setting, "is not needed."),
        key if key.starts_with("customflag_") => {
            draft.lost(
                Key::Maildir,
                setting,
                "has no counterpart: letters of keywords are those of `dovecot-keywords` beside each mailbox.",
            );
        }
        _ => draft.lost(None, setting, "is unknown and was passed over."),
    }
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn the_filters_that_the_manual_shows_are_read() {
        for (python, globs) in [
            ("lambda foldername: foldername in ['INBOX', 'Sent']", Some(&["INBOX", "Sent"][..])),
            ("lambda f: f not in [\n'Trash',\n\"Spam\"]", Some(&["!Trash", "!Spam"])),
            ("lambda f: f in ('INBOX',)", Some(&["INBOX"])),
            ("lambda foldername: not re.search('(^Trash$|Del)', foldername)", None),
            ("lambda f: f in [name]", None),
            ("lambda f: f in []", None),
            ("lambda f: f in ['a'] or f == 'b'", None),
            ("filter", None),
        ] {
            let globs: Option<Vec<String>> = globs.map(|globs| globs.iter().map(|g| (*g).to_owned()).collect());
            assert_eq!(filter(python), globs, "{python}");
        }
    }
}
