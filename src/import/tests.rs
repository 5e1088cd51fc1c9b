//! What is true of every tool: the result is one that Mailtide's parser takes, and nothing is lost or given away.

use std::path::Path;

use super::source::tests::{at, nowhere};
use super::*;

/// What `import` makes of a file of this text, with its files in `home`.
pub(super) fn imported_in(home: &Path, tool: Tool, text: &str) -> Imported {
    let path = home.join("old");
    std::fs::write(&path, text).unwrap();
    let imported = import(tool, Some(&path), &at(home)).unwrap();
    let read = |text: &str| text.parse::<toml::Table>().unwrap_or_else(|e| panic!("{e}\n{text}"));
    let table = read(&imported.text);
    for (name, account) in table.get("accounts").and_then(toml::Value::as_table).into_iter().flatten() {
        assert!(imported.taken.contains(name));
        let one = toml::Table::from_iter([(name.clone(), account.clone())]);
        let text = toml::Table::from_iter([("accounts".to_owned(), one.into())]).to_string();
        Config::parse(Path::new("config.toml"), &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    }
    let whole = Config::parse(Path::new("config.toml"), &imported.text);
    assert!(whole.is_ok() || imported.taken.is_empty(), "{whole:?}\n{}", imported.text);
    for note in &imported.told {
        assert!(!note.1.contains("hunter2"), "{note:?}");
    }
    assert!(!imported.text.contains("hunter2"), "{}", imported.text);
    imported
}

/// As [`imported_in`], with nothing in the home directory.
pub(super) fn imported(tool: Tool, text: &str) -> Imported {
    imported_in(tempfile::tempdir().unwrap().path(), tool, text)
}

/// The lines that are no comments.
pub(super) fn bare(imported: &Imported) -> String {
    let lines = imported.text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

#[track_caller]
pub(super) fn tells(imported: &Imported, parts: &[&str]) {
    for part in parts {
        let joined = imported.text.replace("\n# ", " ");
        assert!(joined.contains(part), "`{part}` is not in:\n{}", imported.text);
    }
}

#[test]
fn nothing_to_import_is_an_error_with_its_reason() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("old");
    for (tool, text, why) in [
        (Tool::Mbsync, "IMAPStore a\nHost h\n", "nothing to import"),
        (Tool::Mbsync, "Channel a\nFar :x:\nNear :y:\n", "there is no store `x`"),
        (Tool::Offlineimap, "[general]\naccounts = a\n", "there is no [Account a]"),
        (Tool::Getmail, "[options]\n", "has no [retriever]"),
        (Tool::Mpop, "# nothing\n", "nothing to import"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = import(tool, Some(&path), &nowhere()).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.what().contains(why), "{error}");
        assert!(error.hint_text().unwrap().contains("mailtide import --from"));
    }
}

#[test]
fn an_account_that_the_parser_refuses_is_a_comment_and_the_rest_is_taken() {
    let text = "IMAPStore s\nTunnel \"ssh h imapd\"\n\nMaildirStore m\nPath ~/Mail/\nInbox ~/Mail/INBOX\n\n\
                Channel c\nFar :s:\nNear :m:\nPatterns *\n";
    let imported = imported(Tool::Mbsync, text);
    assert_eq!((imported.taken.len(), imported.refused.as_slice()), (0, &["c".to_owned()][..]));
    assert!(imported.text.contains("# The account `c` could not be taken over: `host` is missing"));
    assert!(imported.told.iter().any(|(_, line)| line.starts_with("c: The account could not be taken over")));
}

#[test]
fn trees_are_kept_apart() {
    let account = |name: &str, path: &str| {
        format!(
            "IMAPStore {name}\nHost h\nUser u\n\nMaildirStore m{name}\nPath {path}/\nInbox {path}/INBOX\n\n\
                 Channel {name}\nFar :{name}:\nNear :m{name}:\nPatterns *\n\n"
        )
    };
    let text = account("a", "~/Mail") + &account("b", "~/Mail/b") + &account("a", "~/Mail");
    let imported = imported(Tool::Mbsync, &text);
    let roots: Vec<_> = imported.text.lines().filter(|line| line.starts_with("maildir =")).collect();
    assert_eq!(roots[..2], ["maildir = \"~/Mail\"", "maildir = \"~/Mail-b\""]);
    tells(&imported, &["~/Mail/b has mail of the account `a` too"]);
}

#[test]
fn names_are_one_each() {
    let draft = |name| Draft::new(name, Protocol::Imap, "");
    let mut drafts = [draft("a"), draft("a-2"), draft("a"), draft("a")];
    unique(&mut drafts);
    assert_eq!(drafts.map(|d| d.name), ["a", "a-2", "a-3", "a-4"]);
}

/// Lines that mean something to one of the tools, and parts of them.
const WORDS: &[&str] = &[
    "IMAPStore a",
    "Host h",
    "User u",
    "Pass hunter2",
    "PassCmd \"+x\"",
    "SSLType IMAPS",
    "Timeout 0",
    "MaildirStore m",
    "Path ~/Mail/",
    "Inbox ~/Mail/x",
    "SubFolders Legacy",
    "Flatten .",
    "Channel c",
    "Far :a:",
    "Near :m:",
    "Far :a:x/",
    "Near :m:y",
    "Patterns * !b",
    "Patterns %",
    "Sync PullNew Push",
    "Expunge Far",
    "Trash t",
    "Group g c",
    "",
    "[general]",
    "accounts = A",
    "[Account A]",
    "localrepository = L",
    "remoterepository = R",
    "[Repository L]",
    "type = Maildir",
    "localfolders = $HOME/x",
    "sep = ",
    "[Repository R]",
    "type = IMAP",
    "remotehost = h",
    "remoteuser = ",
    "remotepass = hunter2",
    "nametrans = f",
    "folderfilter = lambda f: f in ['a']",
    "readonly = yes",
    "maxconnections = 99",
    "[retriever]",
    "type = SimplePOP3SSLRetriever",
    "server = s",
    "username = u",
    "password = hunter2",
    "port = 99999",
    "password_command = ('a', \"b\"",
    "[destination]",
    "path = ~/x/",
    "[options]",
    "delete_after = 3",
    "max_message_size = x",
    "defaults",
    "account a",
    "account b : a",
    "host h",
    "user u",
    "password hunter2",
    "delivery maildir ~/m",
    "tls",
    "skipsize 9999999999999999999m",
    "tls_fingerprint x",
    "\u{1b}[31m = \u{202e}",
    "\"",
    "\\",
    "%(x)s = %(x)s",
    "  go on",
];

proptest::proptest! {
    /// Whatever stands in a file, the end is an error with its reason or a configuration that is taken.
    #[test]
    fn no_file_is_too_odd(lines in proptest::collection::vec(proptest::sample::select(WORDS), 0..40)) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("old");
        let text = lines.join("\n");
        for tool in Tool::ALL {
            std::fs::write(&path, &text).unwrap();
            match import(tool, Some(&path), &at(home.path())) {
                Ok(_) => drop(imported_in(home.path(), tool, &text)),
                Err(error) => {
                    assert!(!error.to_string().contains("hunter2"), "{error}");
                    assert!(error.what().contains("nothing to import"), "{error}");
                }
            }
        }
    }
}
