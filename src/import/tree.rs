//! The old tool's tree, looked at: which directories are mailboxes, and what they are called there and here.
//!
//! Where the old tool wrote a name in another way (modified UTF-7, a dot between the levels), the directory keeps its
//! name and a rename ties it to the mailbox on the server. So nothing in the tree has to be moved.

use std::path::{Path, PathBuf};

use super::draft::{Draft, Key, Value, Weight};
use crate::mail::{MailboxName, utf7};

/// How an old tool makes a directory of a mailbox's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// `A/B` is `A/B`.
    Nested,
    /// `A/B` is `.A.B`, INBOX is the root.
    MaildirPlusPlus,
    /// `A/B` is `A.B`, or with another sign between the levels.
    Flat(char),
    /// `A/B` is `A/.B`.
    Legacy,
}

/// What a tree shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The mailbox on the server and the other name that it has in the tree, as Mailtide reads it.
    pub renames: Vec<(MailboxName, MailboxName)>,
    /// Directories, from the root, that Mailtide would not read as a mailbox, with the mailbox that each is.
    pub foreign: Vec<(PathBuf, MailboxName)>,
    /// How many mailboxes were seen.
    pub mailboxes: usize,
}

/// Deeper than any mailbox.
const DEPTH: usize = 20;

/// The directories below `root` that hold `cur` and `new`, relative to it, sorted; links are not followed.
fn maildirs(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![(PathBuf::new(), 0)];
    while let Some((relative, depth)) = open.pop() {
        let here = root.join(&relative);
        if here.join("cur").is_dir() && here.join("new").is_dir() {
            found.push(relative.clone());
        }
        let Ok(entries) = std::fs::read_dir(&here) else { continue };
        for entry in entries.flatten().filter(|_| depth < DEPTH) {
            let name = entry.file_name();
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_dir && !["cur", "new", "tmp"].iter().any(|own| name == *own) {
                open.push((relative.join(name), depth + 1));
            }
        }
    }
    found.sort();
    found
}

/// The directories below `root` that hold mail, as text; those that are no UTF-8 are left out.
pub fn directories(root: &Path) -> Vec<String> {
    let found = maildirs(root);
    found.iter().filter_map(|dir| dir.to_str()).filter(|dir| !dir.is_empty()).map(str::to_owned).collect()
}

/// Looks at the tree in `root`, which is read as `naming` says; INBOX is wherever the old tool has it and is left out.
pub fn names(root: &Path, naming: Naming) -> Names {
    let mut names = Names::default();
    for dir in maildirs(root) {
        let Some(parts) = parts(&dir) else { continue };
        let Some(server) = server(&parts, naming).filter(|name| !name.is_inbox()) else { continue };
        names.mailboxes += 1;
        match here(&parts, naming) {
            Some(local) if local == server => {}
            Some(local) => names.renames.push((server, local)),
            None => names.foreign.push((dir, server)),
        }
    }
    names
}

/// The parts of a directory's name; `None` when one is no UTF-8.
fn parts(dir: &Path) -> Option<Vec<&str>> {
    dir.iter().map(|part| part.to_str()).collect()
}

/// The mailbox on the server that the old tool keeps there.
fn server(parts: &[&str], naming: Naming) -> Option<MailboxName> {
    let segments: Vec<&str> = match (naming, parts) {
        (Naming::Nested, parts) => parts.to_vec(),
        (Naming::MaildirPlusPlus, [part]) => match part.strip_prefix("..") {
            // Below INBOX.
            Some(below) => std::iter::once("INBOX").chain(below.split('.')).collect(),
            None => part.strip_prefix('.')?.split('.').collect(),
        },
        (Naming::Flat(sign), [part]) => part.split(sign).collect(),
        (Naming::Legacy, [first, rest @ ..]) => {
            let rest = rest.iter().map(|part| part.strip_prefix('.')).collect::<Option<Vec<_>>>()?;
            std::iter::once(*first).chain(rest).collect()
        }
        (Naming::MaildirPlusPlus | Naming::Flat(_) | Naming::Legacy, _) => return None,
    };
    let decoded = segments.iter().map(|segment| utf7::decode(segment).unwrap_or_else(|| (*segment).to_owned()));
    MailboxName::from_segments(decoded)
}

/// The mailbox that Mailtide takes the directory for, where it is one that Mailtide would make.
fn here(parts: &[&str], naming: Naming) -> Option<MailboxName> {
    let segments: Vec<&str> = match (naming, parts) {
        (Naming::MaildirPlusPlus, [part]) => part.strip_prefix('.')?.split('.').collect(),
        (Naming::MaildirPlusPlus, _) => return None,
        (Naming::Nested | Naming::Flat(_) | Naming::Legacy, parts) => {
            if parts.iter().any(|part| part.starts_with('.')) {
                return None;
            }
            parts.to_vec()
        }
    };
    let escaped = |part: &&&str| part.contains('%') || part.chars().any(char::is_control);
    if segments.iter().any(|part| part.is_empty()) || segments.iter().any(|part| escaped(&part)) {
        return None;
    }
    let inbox = segments.first().is_some_and(|first| first.eq_ignore_ascii_case("INBOX") && *first != "INBOX");
    if inbox { None } else { MailboxName::from_segments(&segments) }
}

/// Puts what the tree shows into `draft`, whose tree it is: renames, and what has to be moved by hand.
pub fn into(draft: &mut Draft, root: &str, names: Names, tool: &str) {
    let layout = draft.text(Key::Layout).unwrap_or("nested").to_owned();
    let pair = |(server, local): (MailboxName, MailboxName)| (server.path().to_owned(), local.path().to_owned());
    let mut pairs: Vec<_> = names.renames.into_iter().map(pair).collect();
    if let Some(Value::Pairs(known)) = draft.get(Key::Rename) {
        pairs.retain(|(server, local)| !known.iter().any(|(s, l)| s == server || l == local));
    }
    if !pairs.is_empty() {
        let text = format!(
            "The names on the left are those on the server, as far as {tool}'s tree tells them, those on the right the \
             directories as they are. Compare `mailtide mailboxes`."
        );
        draft.note(Key::Rename, Weight::Explains, text);
        draft.add_pairs(Key::Rename, pairs);
    }
    if names.foreign.is_empty() {
        return;
    }
    let count = names.foreign.len();
    let mut text = format!(
        "{count} of the directories in {root} would not be read as mailboxes and their mail would be fetched anew: \
         rename them before the first run, see the configuration."
    );
    for (dir, server) in &names.foreign {
        let to = match layout.as_str() {
            "maildir++" => server.segments().map(|s| format!(".{s}")).collect::<String>(),
            _ => server.path().to_owned(),
        };
        let parent = Path::new(&to).parent().filter(|p| !p.as_os_str().is_empty());
        let make = parent.map(|p| format!("mkdir -p {} && ", place(root, &p.to_string_lossy())));
        let from = place(root, &dir.to_string_lossy());
        text.push_str(&format!("\n    {}mv -n {from} {}", make.unwrap_or_default(), place(root, &to)));
    }
    draft.note(Key::Maildir, Weight::Differs, text);
}

/// A path for a shell.
pub fn place(root: &str, below: &str) -> String {
    let path = if below.is_empty() { root.to_owned() } else { format!("{root}/{below}") };
    match path.strip_prefix("~/") {
        Some(rest) => format!("~/{}", quoted(rest)),
        None => quoted(&path),
    }
}

/// A word for a shell.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft::Protocol;
    use super::*;

    fn tree(dirs: &[&str], naming: Naming) -> (Vec<String>, Vec<String>) {
        let root = tempfile::tempdir().unwrap();
        for dir in dirs {
            for sub in ["cur", "new", "tmp"] {
                std::fs::create_dir_all(root.path().join(dir).join(sub)).unwrap();
            }
        }
        let names = names(root.path(), naming);
        let renames = names.renames.iter().map(|(s, l)| format!("{s} = {l}")).collect();
        let foreign = names.foreign.iter().map(|(dir, s)| format!("{} is {s}", dir.display())).collect();
        (renames, foreign)
    }

    #[test]
    fn directories_keep_their_names_where_they_can() {
        for (naming, dirs, renames, foreign) in [
            (Naming::Nested, &["INBOX", "Sent", "Lists/rust"][..], &[][..], &[][..]),
            (Naming::Nested, &["Entw&APw-rfe/R&-D", "A&B"], &["Entwürfe/R&D = Entw&APw-rfe/R&-D"], &[]),
            (Naming::Nested, &["Inbox/x", "100%25"], &[], &["100%25 is 100%2525", "Inbox/x is INBOX/x"]),
            (
                Naming::Flat('.'),
                &["INBOX", "INBOX.Sent", "Lists.rust", "Work"],
                &["INBOX/Sent = INBOX.Sent", "Lists/rust = Lists.rust"],
                &[],
            ),
            (Naming::MaildirPlusPlus, &["", ".Sent", ".Lists.&APw-"], &["Lists/ü = Lists/&APw-"], &[]),
            (Naming::MaildirPlusPlus, &["..Old"], &[], &["..Old is INBOX/Old"]),
            (Naming::Legacy, &["top", "top/.sub/.deep"], &[], &["top/.sub/.deep is top/sub/deep"]),
        ] {
            let (found, odd) = tree(dirs, naming);
            assert_eq!(
                (found, odd),
                (renames.iter().map(|s| (*s).into()).collect(), foreign.iter().map(|s| (*s).into()).collect()),
                "{dirs:?}"
            );
        }
        assert_eq!(names(Path::new("/nowhere/at/all"), Naming::Nested), Names::default());
    }

    #[test]
    fn what_has_to_be_moved_is_told_as_commands() {
        let name = |path| MailboxName::parse(path).unwrap();
        let names = Names {
            renames: vec![(name("ü"), name("&APw-"))],
            foreign: vec![("top/.it's".into(), name("top/it's"))],
            mailboxes: 2,
        };
        let mut draft = Draft::new("a", Protocol::Imap, "");
        into(&mut draft, "~/Mail", names, "mbsync");
        assert_eq!(draft.get(Key::Rename), Some(&Value::Pairs(vec![("ü".into(), "&APw-".into())])));
        let text = &draft.notes()[1].text;
        assert!(text.ends_with(r"mkdir -p ~/Mail/top && mv -n ~/'Mail/top/.it'\''s' ~/'Mail/top/it'\''s'"), "{text}");
    }
}
