//! OfflineIMAP's `.offlineimaprc`: an account and its two repositories become one account.
//!
//! What is Python there cannot be run here: two forms of `folderfilter` that its own documentation shows are read, all
//! else is a note. State is not needed: mail that is in the tree already is recognised by its content.

mod repository;

use self::repository::{local, remote};
use super::draft::{Draft, Key, Note, Protocol, Setting, Value, Weight};
use super::ini::{Ini, Section};
use super::source::{File, Surroundings};
use super::{Found, Tool};

/// Reads the configuration.
pub(super) fn read(file: &File, around: &Surroundings) -> Found {
    let ini = Ini::parse(&file.text).interpolated();
    let mut found = Found::new(Tool::Offlineimap);
    for line in &ini.odd {
        say(&mut found, Weight::Differs, format!("Line {line} could not be understood and was passed over."));
    }
    let none = Section::default();
    let general = ini.section("general").unwrap_or(&none);
    let listed: Vec<&str> = general.text("accounts").unwrap_or_default().split(',').map(str::trim).collect();
    let mut used = vec!["general".to_owned(), "DEFAULT".to_owned()];
    for name in listed.iter().filter(|name| !name.is_empty()) {
        let Some(account) = ini.section(&format!("Account {name}")) else {
            say(&mut found, Weight::Differs, format!("`accounts` names {name}, and there is no [Account {name}]."));
            continue;
        };
        used.push(account.name.clone());
        match pair(&ini, account, &mut used) {
            Ok((here, there)) => {
                let mut draft =
                    Draft::new(name, Protocol::Imap, format!("OfflineIMAP: account {name}, {}", file.path.display()));
                one(&mut draft, general, account, here, there, around);
                found.accounts.push(draft);
            }
            Err(why) => say(&mut found, Weight::Differs, format!("The account {name} could not be taken over: {why}")),
        }
    }
    for section in ini.sections.iter().filter(|section| !used.contains(&section.name)) {
        match section.name.as_str() {
            "mbnames" => say(
                &mut found,
                Weight::Differs,
                "[mbnames] writes a list of mailboxes: `mailtide mailboxes --json` shows them.".into(),
            ),
            name => say(&mut found, Weight::Moot, format!("[{name}] is in no account that `accounts` names.")),
        }
    }
    for setting in &general.settings {
        if let Some((weight, why)) = generally(setting) {
            say(&mut found, weight, format!("{} {why}", setting.shown()));
        }
    }
    found
}

fn say(found: &mut Found, weight: Weight, text: String) {
    found.notes.push(Note { at: None, weight, text });
}

/// The repositories of an account: the tree's and the server's.
fn pair<'a>(ini: &'a Ini, account: &Section, used: &mut Vec<String>) -> Result<(&'a Section, &'a Section), String> {
    let mut repository = |key: &str| -> Result<&'a Section, String> {
        let name = account.text(key).ok_or_else(|| format!("`{key}` is missing."))?;
        let section =
            ini.section(&format!("Repository {name}")).ok_or_else(|| format!("there is no [Repository {name}]."))?;
        used.push(section.name.clone());
        Ok(section)
    };
    let (here, there) = (repository("localrepository")?, repository("remoterepository")?);
    let kind = |section: &Section| section.text("type").unwrap_or_default().to_lowercase();
    match (kind(here).as_str(), kind(there).as_str()) {
        ("maildir" | "gmailmaildir", "imap" | "gmail") => Ok((here, there)),
        ("imap" | "gmail", _) => Err("both sides are servers; Mailtide keeps a Maildir tree.".into()),
        (a, b) => Err(format!("its repositories are of the types `{a}` and `{b}`.")),
    }
}

fn one(
    draft: &mut Draft,
    general: &Section,
    account: &Section,
    here: &Section,
    there: &Section,
    around: &Surroundings,
) {
    if let Some(setting) = general.get("socktimeout") {
        draft.timeout(&setting.shown(), &setting.value);
    }
    let no = |section: &Section, key: &str| section.get(key).and_then(Setting::truth) == Some(false);
    let yes = |section: &Section, key: &str| {
        section.get(key).is_some_and(|setting| setting.truth() == Some(true) && !setting.value.is_empty())
    };
    let direction = match (yes(here, "readonly"), yes(there, "readonly")) {
        (false, false) => "both",
        (false, true) => "pull",
        (true, false) => "push",
        (true, true) => {
            draft.note(
                Key::Direction,
                Weight::Differs,
                "Both repositories are `readonly`; here the server stays unchanged.",
            );
            "pull"
        }
    };
    draft.set(Key::Direction, direction);
    // A repository's `sync_deletes` is about what was deleted in it.
    let deletions = match (no(here, "sync_deletes"), no(there, "sync_deletes"), direction) {
        (false, false, _) | (true, false, "pull") | (false, true, "push") => None,
        (true, true, _) | (false, true, "pull") | (true, false, "push") => Some("never"),
        _ => {
            let text =
                "`sync_deletes` repeats deletions one way only; Mailtide does it both ways or not at all, so not.";
            draft.note(Key::Deletions, Weight::Differs, text);
            Some("never")
        }
    };
    let marks = no(there, "expunge") && direction != "pull";
    draft.set(Key::Deletions, deletions.unwrap_or(if marks { "mark" } else { "expunge" }));
    if marks && deletions.is_none() {
        draft.note(Key::Deletions, Weight::Explains, "`expunge = no`: deleted messages are marked; in the tree, too.");
    }
    if draft.text(Key::Deletions) == Some("expunge") {
        let text = "OfflineIMAP never removes a mailbox; Mailtide removes one that the other side has removed, unless the \
                    guard refuses.";
        draft.note(Key::Deletions, Weight::Differs, text);
    }
    for setting in account.settings.iter().filter(|s| !matches!(s.key.as_str(), "localrepository" | "remoterepository"))
    {
        of_account(draft, setting);
    }
    // In this order: names in the tree depend on what the server's side does to them.
    remote(draft, there, around);
    local(draft, here, there, account, around);
}

fn of_account(draft: &mut Draft, setting: &Setting) {
    match setting.key.as_str() {
        "maxage" | "startdate" => {
            draft.lost(Key::Mailboxes, setting, "has no counterpart: Mailtide takes mail of every age.")
        }
        "maxsize" => draft.lost(Key::Mailboxes, setting, "has no counterpart: Mailtide takes messages of every size."),
        "autorefresh" => {
            draft.lost(None, setting, "ran it again and again: a timer or cron does that for `mailtide sync`.")
        }
        "presynchook" | "postsynchook" => {
            draft.lost(None, setting, "has no counterpart: write it before or after `mailtide sync` in a script.")
        }
        "synclabels" | "labelsheader" | "ignorelabels" => {
            draft.lost(None, setting, "has no counterpart: labels are mailboxes, and no header is ever added.")
        }
        "filterheaders" => draft.moot(setting, "is not needed: messages are never changed."),
        "quick" | "status_backend" => draft.moot(setting, "is not needed: what has not changed costs nothing."),
        "utf8foldernames" => {
            draft.moot(setting, "is how Mailtide writes names; directories that are there keep theirs.")
        }
        "proxy" | "authproxy" => draft.lost(Key::Host, setting, "has no counterpart: Mailtide connects directly."),
        "maildir-windows-compatible" => {
            draft.lost(Key::Maildir, setting, "has no counterpart: flags stand behind `:2,` in file names.")
        }
        _ => draft.lost(None, setting, "is unknown and was passed over."),
    }
}

fn generally(setting: &Setting) -> Option<(Weight, &'static str)> {
    match setting.key.as_str() {
        "accounts" | "socktimeout" => None,
        "metadata" => Some((Weight::Moot, "is OfflineIMAP's own state; Mailtide keeps one of its own.")),
        "maxsyncaccounts" => Some((Weight::Moot, "is not needed: accounts go one after the other.")),
        "ui" => Some((Weight::Moot, "has `--quiet`, `--verbose` and `--json` in its place.")),
        "fsync" => Some((Weight::Moot, "is not asked: mail is on disk before it is recorded.")),
        "ignore-readonly" => Some((Weight::Moot, "is not needed: what a server refuses is reported and tried again.")),
        "pythonfile" => Some((Weight::Differs, "was not run; what depends on it has a note of its own.")),
        "utime_from_header" => Some((Weight::Differs, "has no counterpart: a file has the time of its arrival.")),
        _ => Some((Weight::Differs, "is unknown and was passed over.")),
    }
}

#[cfg(test)]
mod tests;
