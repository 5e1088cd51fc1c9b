//! `mailtide import`: another tool's configuration in, a commented one of Mailtide's out.
//!
//! Nothing of the old tool is changed, no command of its configuration is run, and no password is copied. Each setting
//! ends in a value or in a note. What is written is what Mailtide's own parser takes.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`draft`], [`key`], [`setting`] | an account as it was found: keys, values, notes; lines of the old file |
//! | [`source`] | the old tools' files; paths in them |
//! | [`tree`] | the old tree: names that are written in another way |
//! | `ini` | INI as Python reads it |
//! | `mbsync`, `offlineimap`, `getmail`, `mpop` | one tool each |
//! | [`write`] | the TOML |

pub mod draft;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod getmail;
mod ini;
pub mod key;
mod mbsync;
mod mpop;
mod offlineimap;
pub mod setting;
pub mod source;
pub mod tree;
pub mod write;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use self::draft::{Draft, Key, Note, Protocol, Value, Weight};
use self::source::{File, Surroundings};
use crate::config::{Config, FetchedBefore};
use crate::error::{Error, Kind, Result};

/// A tool whose configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// isync's mbsync.
    Mbsync,
    /// OfflineIMAP, 7 and 3.
    Offlineimap,
    /// getmail 4 to 6.
    Getmail,
    /// mpop.
    Mpop,
}

impl Tool {
    /// All of them.
    pub const ALL: [Tool; 4] = [Tool::Mbsync, Tool::Offlineimap, Tool::Getmail, Tool::Mpop];
}

/// Its name as a command.
impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tool::Mbsync => "mbsync",
            Tool::Offlineimap => "offlineimap",
            Tool::Getmail => "getmail",
            Tool::Mpop => "mpop",
        })
    }
}

/// What a file holds.
#[derive(Debug)]
struct Found {
    tool: Tool,
    accounts: Vec<Draft>,
    /// What is about no account.
    notes: Vec<Note>,
}

impl Found {
    fn new(tool: Tool) -> Found {
        Found { tool, accounts: Vec::new(), notes: Vec::new() }
    }
}

/// A configuration made of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The TOML.
    pub text: String,
    /// What to tell the person, a line each, the weightier first; foreign text in it is not yet safe.
    pub told: Vec<(Weight, String)>,
    /// The accounts that were taken over.
    pub taken: Vec<String>,
    /// The accounts that stand in the text as comments only.
    pub refused: Vec<String>,
}

/// Reads the configuration of `tool`, at `named` or where the tool has it, and makes one of Mailtide's of it.
///
/// # Errors
/// Kind `Config` when there is none, it cannot be read, or holds nothing that could be taken over.
pub fn import(tool: Tool, named: Option<&Path>, around: &Surroundings) -> Result<Imported> {
    made_of(tool, &around.files(tool, named)?, around)
}

fn made_of(tool: Tool, files: &[File], around: &Surroundings) -> Result<Imported> {
    let paths: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
    let mut found = Found::new(tool);
    for file in files {
        let one = read(tool, file, around);
        found.accounts.extend(one.accounts);
        found.notes.extend(one.notes);
    }
    if found.accounts.is_empty() {
        let why = found.notes.first().map(|note| format!(": {}", note.text)).unwrap_or_default();
        let why = crate::error::safe_line(why.trim_end_matches('.'));
        return Err(Error::new(Kind::Config, format!("There is nothing to import{why}"))
            .at(paths.join(", "))
            .hint(format!("Name another: `mailtide import --from {tool} FILE`.")));
    }
    unique(&mut found.accounts);
    apart(&mut found.accounts, around);
    found.accounts.iter_mut().for_each(Draft::without_tls);
    Ok(finish(found, &paths))
}

fn read(tool: Tool, file: &File, around: &Surroundings) -> Found {
    match tool {
        Tool::Mbsync => mbsync::read(file, around),
        Tool::Offlineimap => offlineimap::read(file, around),
        Tool::Getmail => getmail::read(file, around),
        Tool::Mpop => mpop::read(file, around),
    }
}

/// Says what the old tool has fetched from a maildrop.
fn known(draft: &mut Draft, before: FetchedBefore) {
    let (Some(host), Some(user)) = (draft.text(Key::Host), draft.text(Key::User)) else { return };
    let by = before.by;
    let fetched = match before.read(host, user) {
        Ok(fetched) if fetched.is_empty() => return,
        Ok(fetched) => fetched,
        // It has not fetched anything yet.
        Err(_) if !before.path.exists() => return,
        Err(error) => {
            let text = format!("What {by} has fetched is fetched once more: {error}.");
            return draft.note(Key::FetchedBefore, Weight::Differs, text);
        }
    };
    // TOML holds text only.
    let path = std::path::absolute(&before.path).ok().and_then(|path| path.into_os_string().into_string().ok());
    let Some(path) = path else {
        let text = format!("What {by} has fetched stands in a file whose name is not UTF-8; it is fetched once more.");
        return draft.note(Key::FetchedBefore, Weight::Differs, text);
    };
    let text = format!(
        "{} messages were fetched before, as this file tells; what of them is still on the server is not fetched again. \
         It is read until the first run has gone through.",
        fetched.len()
    );
    draft.set(Key::FetchedBefore, Value::Source(by.word(), path));
    draft.note(Key::FetchedBefore, Weight::Explains, text);
}

fn finish(found: Found, paths: &[String]) -> Imported {
    let tool = found.tool.to_string();
    let judged: Vec<_> = found
        .accounts
        .into_iter()
        .map(|draft| {
            let why = refusal(&draft);
            (draft, why)
        })
        .collect();
    let heading = write::Heading { tool: &tool, files: paths, notes: &found.notes };
    let text = write::whole(&heading, &judged);
    let mut told = Vec::new();
    for weight in [Weight::Differs, Weight::Moot] {
        let mut lines = write::told(&found.notes, &tool, weight);
        for (draft, refused) in &judged {
            if let Some(why) = refused.as_ref().filter(|_| weight == Weight::Differs) {
                lines.push(format!(
                    "{}: The account could not be taken over and stands there as a comment: {why}",
                    draft.name
                ));
            }
            lines.extend(write::told(draft.notes(), &draft.name, weight));
        }
        told.extend(lines.into_iter().map(|line| (weight, line)));
    }
    let (taken, refused): (Vec<_>, Vec<_>) = judged.iter().partition(|(_, refused)| refused.is_none());
    let names = |of: Vec<&(Draft, Option<String>)>| of.into_iter().map(|(draft, _)| draft.name.clone()).collect();
    Imported { text, told, taken: names(taken), refused: names(refused) }
}

/// Why Mailtide's parser would not take the account.
fn refusal(draft: &Draft) -> Option<String> {
    let error = Config::parse(Path::new("config.toml"), &write::account(draft)).err()?;
    Some(error.what().to_owned())
}

/// Gives each account a name of its own.
fn unique(accounts: &mut [Draft]) {
    let mut names = BTreeSet::new();
    for draft in accounts {
        let own = draft.name.clone();
        let mut n = 2;
        while !names.insert(draft.name.clone()) {
            draft.name = format!("{own}-{n}");
            n += 1;
        }
    }
}

/// Gives an account a tree of its own where it would be in another one's way.
fn apart(accounts: &mut [Draft], around: &Surroundings) {
    for n in 1..accounts.len() {
        let (before, rest) = accounts.split_at_mut(n);
        let Some(draft) = rest.first_mut() else { continue };
        let Some(old) = draft.text(Key::Maildir).map(str::to_owned) else { continue };
        let mut root = old.clone();
        // Each round leaves one more tree behind it.
        for _ in 0..=before.len() {
            let Some((other, outer)) =
                before.iter().find_map(|other| Some((&other.name, in_the_way(draft, &root, other, around)?)))
            else {
                break;
            };
            root = format!("{}-{}", outer.trim_end_matches("/."), draft.name);
            let text = format!(
                "{old} has mail of the account `{other}` too, which a tree cannot have here: this account gets one of its \
                 own, and its mail is fetched anew unless you move it there."
            );
            draft.note(Key::Maildir, Weight::Differs, text);
        }
        if root != old {
            draft.set(Key::Maildir, root);
            draft.unset(Key::Rename);
        }
    }
}

/// The outer one of the trees of two accounts that would be in each other's way.
fn in_the_way(draft: &Draft, root: &str, other: &Draft, around: &Surroundings) -> Option<String> {
    let theirs = other.text(Key::Maildir)?;
    let real = |path: &str| {
        let path = around.real(path);
        path.canonicalize().unwrap_or(path)
    };
    let (a, b) = (real(root), real(theirs));
    let owns = |draft: &Draft| draft.protocol == Protocol::Imap;
    if a == b {
        let alike = draft.get(Key::Layout) == other.get(Key::Layout);
        return (owns(draft) && owns(other) || !alike).then(|| theirs.to_owned());
    }
    if a.starts_with(&b) && owns(other) {
        return Some(theirs.to_owned());
    }
    (b.starts_with(&a) && owns(draft)).then(|| root.to_owned())
}

#[cfg(test)]
mod tests;
