//! Configurations as people have them.

use super::super::tests::{bare, imported, imported_in, tells};
use super::*;

#[test]
fn an_account_with_everything() {
    let imported = imported(
        Tool::Offlineimap,
        r#"[general]
accounts = Work
metadata = ~/.offlineimap
maxsyncaccounts = 2
ui = ttyui
pythonfile = ~/.offlineimap.py
socktimeout = 60

[DEFAULT]
domain = example.org

[Account Work]
localrepository = Work-Local
remoterepository = Work-Remote
autorefresh = 5
postsynchook = notmuch new

[Repository Work-Local]
type = Maildir
localfolders = $HOME/Mail/work
sep = /
sync_deletes = no

[Repository Work-Remote]
type = IMAP
remotehost = imap.%(domain)s
remoteport = 993
remoteuser = me@%(domain)s
remotepassfile = ~/.work-password
sslcacertfile = OS-DEFAULT
cert_fingerprint = AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA
maxconnections = 3
usecompression = yes
folderfilter = lambda folder: folder not in [
    'Trash',
    'Spam']
expunge = no
"#,
    );
    assert_eq!(
        bare(&imported),
        format!(
            r#"[accounts.Work]
maildir = "~/Mail/work"
layout = "nested"
direction = "both"
deletions = "never"
mailboxes = ["!Trash", "!Spam"]
[accounts.Work.imap]
host = "imap.example.org"
port = 993
tls = "implicit"
user = "me@example.org"
password = {{ file = "~/.work-password" }}
pin = "{}"
connections = 3
compress = true
timeout = "60s"
"#,
            "a".repeat(64)
        )
    );
    tells(
        &imported,
        &[
            "`metadata ~/.offlineimap` (line 3) is OfflineIMAP's own state",
            "`pythonfile ~/.offlineimap.py` (line 6) was not run",
            "`autorefresh 5`",
            "`postsynchook notmuch new` (line 16) has no counterpart",
            "`sync_deletes` repeats deletions one way only",
        ],
    );
}

#[test]
fn python_is_told_and_keeps_the_server_unchanged() {
    let home = tempfile::tempdir().unwrap();
    for dir in ["INBOX", "archive"] {
        for sub in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(home.path().join("Mail").join(dir).join(sub)).unwrap();
        }
    }
    let imported = imported_in(
        home.path(),
        Tool::Offlineimap,
        "[general]\naccounts = g\n[Account g]\nlocalrepository = l\nremoterepository = r\n[Repository l]\ntype = GmailMaildir\nlocalfolders = ~/Mail\n\
         [Repository r]\ntype = Gmail\nremoteuser = me@gmail.com\nremotepasseval = get_pass('gmail')\n\
         nametrans = lambda f: re.sub('.*All Mail$', 'archive', f)\nfolderfilter = lambda f: f.startswith('x')\nreadonly = no\n\
         oauth2_client_secret = hunter2\noauth2_refresh_token = hunter2\ntrashfolder = [Gmail]/Papierkorb\nbogus = 1\n[Repository spare]\ntype = IMAP\n[mbnames]\nenabled = yes\n",
    );
    let bare = bare(&imported);
    assert!(bare.contains("direction = \"pull\"") && bare.contains("trash = \"[Gmail]/Papierkorb\""), "{bare}");
    assert!(bare.contains("host = \"imap.gmail.com\"") && bare.contains("mailboxes = [\"*\"]"), "{bare}");
    tells(
        &imported,
        &[
            "`nametrans lambda f: re.sub('.*All Mail$', 'archive', f)` (line 13) is Python, which is not run.",
            "nothing is changed there",
            r#"rename = { "SERVER/NAME" = "INBOX", "SERVER/NAME" = "archive" }"#,
            "`folderfilter lambda f: f.startswith('x')` (line 14) is Python",
            "`remotepasseval get_pass('gmail')` (line 12) is Python",
            "`oauth2_client_secret …` (line 16)",
            "`bogus 1` (line 19) is unknown",
            "[Repository spare] is in no account",
            "[mbnames] writes a list of mailboxes",
        ],
    );
}

#[test]
fn dots_between_levels_are_tied_by_renames() {
    let home = tempfile::tempdir().unwrap();
    for dir in ["INBOX", "Lists.rust", "Entw&APw-rfe"] {
        for sub in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(home.path().join("Mail").join(dir).join(sub)).unwrap();
        }
    }
    let text = "[general]\naccounts = a\n[Account a]\nlocalrepository = l\nremoterepository = r\n[Repository l]\ntype = Maildir\nlocalfolders = ~/Mail\n\
         [Repository r]\ntype = IMAP\nremotehost = h\nremoteuser = u\nremotepass = hunter2\nssl = no\nreadonly = yes\nsync_deletes = yes\n";
    let imported = imported_in(home.path(), Tool::Offlineimap, text);
    let bare = bare(&imported);
    assert!(bare.contains(r#"rename = { "Entwürfe" = "Entw&APw-rfe", "Lists/rust" = "Lists.rust" }"#), "{bare}");
    assert!(
        bare.contains("tls = \"starttls\"") && bare.contains("direction = \"pull\"\ndeletions = \"expunge\"\n"),
        "{bare}"
    );
    tells(&imported, &["`remotepass …` (line 13) holds the password in clear text"]);
}

#[test]
fn an_account_that_cannot_be_taken_is_told() {
    let imported = imported(
        Tool::Offlineimap,
        "[general]\naccounts = a, b, c\n[Account a]\nlocalrepository = l\nremoterepository = r\n[Account b]\nlocalrepository = r\nremoterepository = r\n\
         [Repository l]\ntype = Maildir\nlocalfolders = ~/M\n[Repository r]\ntype = IMAP\nremotehost = h\nremoteuser = u\n",
    );
    assert_eq!(imported.taken, ["a"]);
    tells(
        &imported,
        &[
            "The account b could not be taken over: both sides are servers",
            "`accounts` names c, and there is no [Account c]",
        ],
    );
}
