//! The old tool's tree, looked at: which directories are mailboxes, and what they are called there and here.
//!
//! Where the old tool wrote a name in another way (modified UTF-7, a dot between the levels), the directory keeps its
//! name and a rename ties it to the mailbox on the server. So nothing in the tree has to be moved.

use std::path::{Path, PathBuf};

use super::draft::{Draft, Key, Value, Weight};
use crate::config::Renames;
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
    /// Mailboxes that have another name in the tree than on the server.
    pub renames: Vec<Renamed>,
    /// Directories, from the root, that Mailtide would not read as a mailbox, with the mailbox on the server that each is.
    pub foreign: Vec<(PathBuf, MailboxName)>,
    /// How many mailboxes were seen.
    pub mailboxes: usize,
}

/// A mailbox that has another name in the tree than on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// The name there.
    pub server: MailboxName,
    /// The name that Mailtide reads in the tree.
    pub local: MailboxName,
    /// Its directory, from the root.
    pub dir: PathBuf,
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
            Some(local) => names.renames.push(Renamed { server, local, dir }),
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
    if segments.iter().any(|part| part.is_empty() || is_escaped(part)) {
        return None;
    }
    let inbox = segments.first().is_some_and(|first| first.eq_ignore_ascii_case("INBOX") && *first != "INBOX");
    if inbox { None } else { MailboxName::from_segments(&segments) }
}

/// Whether Mailtide would read another name in it than it shows, or never write it.
fn is_escaped(part: &str) -> bool {
    let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'A'..=b'F');
    part.chars().any(char::is_control)
        || part.as_bytes().windows(3).any(|three| matches!(three, [b'%', a, b] if hex(a) && hex(b)))
}

/// Puts what the tree shows into `draft`, whose tree it is: renames, and what has to be moved by hand.
pub fn into(draft: &mut Draft, root: &str, names: Names, tool: &str) {
    let known = match draft.get(Key::Rename) {
        Some(Value::Pairs(pairs)) => pairs.clone(),
        _ => Vec::new(),
    };
    let known = known.iter().filter_map(|(s, l)| Some((MailboxName::parse(s)?, MailboxName::parse(l)?))).collect();
    let Told { pairs, renames, left } = told(known, names.renames);
    if !pairs.is_empty() {
        let text = format!(
            "The names on the left are those on the server, as far as {tool}'s tree tells them, those on the right the \
             directories as they are. Compare `mailtide mailboxes`."
        );
        draft.note(Key::Rename, Weight::Explains, text);
        draft.add_pairs(Key::Rename, pairs.iter().map(|(s, l)| (s.path().to_owned(), l.path().to_owned())));
    }
    let moves: Vec<_> = names.foreign.into_iter().chain(left).collect();
    if moves.is_empty() {
        return;
    }
    let mut text = format!(
        "{} of the directories in {root} would not be read as the mailboxes that they are, and their mail would be \
         fetched anew: rename them before the first run, see the configuration.",
        moves.len()
    );
    let flat = draft.text(Key::Layout) == Some("maildir++");
    for (dir, server) in &moves {
        let to = directory(&renames.local(server), flat);
        let parent = Path::new(&to).parent().filter(|p| !p.as_os_str().is_empty());
        let make = parent.map(|p| format!("mkdir -p {} && ", place(root, &p.to_string_lossy())));
        let from = place(root, &dir.to_string_lossy());
        text.push_str(&format!("\n    {}mv -n {from} {}", make.unwrap_or_default(), place(root, &to)));
    }
    draft.note(Key::Maildir, Weight::Differs, text);
}

/// What can be said by renames.
struct Told {
    /// Those to write beside those that were known.
    pairs: Vec<(MailboxName, MailboxName)>,
    /// All of them, at work.
    renames: Renames,
    /// What cannot be said so: the directories, and their mailboxes on the server.
    left: Vec<(PathBuf, MailboxName)>,
}

/// Takes as many renames as go together with those that are `known`.
fn told(known: Vec<(MailboxName, MailboxName)>, mut wanted: Vec<Renamed>) -> Told {
    // What stands below a renamed mailbox moves with it.
    let moves_with = |one: &Renamed, (server, local): (&MailboxName, &MailboxName)| {
        let rest = one.server.path().strip_prefix(server.path());
        one.server.is_below(server) && rest.is_some_and(|rest| one.local.path() == format!("{local}{rest}"))
    };
    let all = wanted.clone();
    wanted.retain(|one| {
        let names = all.iter().map(|r| (&r.server, &r.local)).chain(known.iter().map(|(s, l)| (s, l)));
        !names.into_iter().any(|names| moves_with(one, names))
            && !known.iter().any(|(server, local)| *server == one.server || *local == one.local)
    });
    wanted.sort_by_key(|one| (one.server.segments().count(), one.server.clone()));
    let with = |pairs: &[(MailboxName, MailboxName)]| Renames::new(known.iter().chain(pairs).cloned());
    let pairs: Vec<_> = wanted.iter().map(|one| (one.server.clone(), one.local.clone())).collect();
    if let Ok(renames) = with(&pairs) {
        return Told { pairs, renames, left: Vec::new() };
    }
    let (mut pairs, mut left) = (Vec::new(), Vec::new());
    for Renamed { server, local, dir } in wanted {
        pairs.push((server, local));
        if with(&pairs).is_err() {
            left.extend(pairs.pop().map(|(server, _)| (dir, server)));
        }
    }
    let renames = with(&pairs).unwrap_or_default();
    Told { pairs, renames, left }
}

/// The directory of a mailbox, from the root, for a name that is not too odd.
fn directory(name: &MailboxName, flat: bool) -> String {
    let plain = |segment: String| match segment.strip_prefix('.') {
        Some(rest) if !flat => format!("%2E{rest}"),
        _ => segment,
    };
    if flat {
        name.segments().map(|segment| format!(".{segment}")).collect()
    } else {
        name.segments().map(plain).collect::<Vec<_>>().join("/")
    }
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
        let renames = names.renames.iter().map(|r| format!("{} = {}", r.server, r.local)).collect();
        let foreign = names.foreign.iter().map(|(dir, s)| format!("{} is {s}", dir.display())).collect();
        (renames, foreign)
    }

    #[test]
    fn directories_keep_their_names_where_they_can() {
        for (naming, dirs, renames, foreign) in [
            (Naming::Nested, &["INBOX", "Sent", "Lists/rust"][..], &[][..], &[][..]),
            (Naming::Nested, &["Entw&APw-rfe/R&-D", "A&B"], &["Entwürfe/R&D = Entw&APw-rfe/R&-D"], &[]),
            (Naming::Nested, &["Inbox/x", "100%25", "5%"], &[], &["100%25 is 100%2525", "Inbox/x is INBOX/x"]),
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

    fn renamed(server: &str, local: &str) -> Renamed {
        let name = |path| MailboxName::parse(path).unwrap();
        Renamed { server: name(server), local: name(local), dir: local.into() }
    }

    #[test]
    fn what_has_to_be_moved_is_told_as_commands() {
        let names = Names {
            renames: vec![renamed("ü", "&APw-")],
            foreign: vec![("top/.it's".into(), MailboxName::parse("top/it's").unwrap())],
            mailboxes: 2,
        };
        let mut draft = Draft::new("a", Protocol::Imap, "");
        into(&mut draft, "~/Mail", names, "mbsync");
        assert_eq!(draft.get(Key::Rename), Some(&Value::Pairs(vec![("ü".into(), "&APw-".into())])));
        let text = &draft.notes()[1].text;
        assert!(text.ends_with(r"mkdir -p ~/Mail/top && mv -n ~/'Mail/top/.it'\''s' ~/'Mail/top/it'\''s'"), "{text}");
    }

    #[test]
    fn renames_that_do_not_go_together_become_commands() {
        let names = Names {
            renames: vec![
                renamed("ü/plain", "&APw-/plain"),
                renamed("ü", "&APw-"),
                renamed("ü/ä", "&APw-/&AOQ-"),
                renamed("Lists/rust", "Lists.rust"),
                renamed("Lists/rust/dev", "Lists.rust.dev"),
                renamed("Archive", "other"),
            ],
            ..Names::default()
        };
        let mut draft = Draft::new("a", Protocol::Imap, "");
        draft.set(Key::Rename, Value::Pairs(vec![("Archive".into(), "old".into())]));
        into(&mut draft, "~/Mail", names, "mbsync");
        let Some(Value::Pairs(pairs)) = draft.get(Key::Rename) else { panic!() };
        let pairs: Vec<_> = pairs.iter().map(|(s, l)| format!("{s} = {l}")).collect();
        assert_eq!(pairs, ["Archive = old", "ü = &APw-", "Lists/rust = Lists.rust", "Lists/rust/dev = Lists.rust.dev"]);
        let text = &draft.notes()[1].text;
        assert!(
            text.ends_with("\n    mkdir -p ~/'Mail/&APw-' && mv -n ~/'Mail/&APw-/&AOQ-' ~/'Mail/&APw-/ä'"),
            "{text}"
        );
    }
}
