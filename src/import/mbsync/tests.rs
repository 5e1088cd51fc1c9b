//! Configurations as people have them.

use super::super::tests::{bare, imported, imported_in, tells};
use super::*;

#[test]
fn an_account_with_everything() {
    let imported = imported(
        Tool::Mbsync,
        r#"# my mail
Create Both
Expunge Both
SyncState *

IMAPAccount work
Host imap.example.org
Port 1993
User me@example.org
PassCmd "+pass show \"mail/work\""
SSLType IMAPS
CertificateFile ~/certs/ca.pem
Timeout 60
PipelineDepth 50
DisableExtension COMPRESS X-NONE
AuthMechs LOGIN

IMAPStore work-remote
Account work

MaildirStore work-local
Path ~/Mail/work/
Inbox ~/Mail/work/INBOX
SubFolders Verbatim

Channel work
Far :work-remote:
Near :work-local:
Patterns * !Spam !"Deleted Items"
Remove Both
CopyArrivalDate yes
MaxMessages 500
"#,
    );
    assert_eq!(
        bare(&imported),
        r#"[accounts.work]
maildir = "~/Mail/work"
layout = "nested"
direction = "both"
deletions = "expunge"
mailboxes = ["*", "!Spam", "!Deleted Items"]
[accounts.work.imap]
host = "imap.example.org"
port = 1993
tls = "implicit"
user = "me@example.org"
password = { command = "pass show \"mail/work\"" }
ca-file = "~/certs/ca.pem"
connections = 1
timeout = "60s"
disable = ["COMPRESS=DEFLATE", "AUTH=PLAIN"]
"#
    );
    tells(
        &imported,
        &[
            "`SyncState *` (line 4) is about mbsync's own state",
            "`PipelineDepth 50` (line 14) limits the commands in flight",
            "`DisableExtension X-NONE` (line 15) names an extension that Mailtide never uses",
            "`MaxMessages 500` (line 32) has no counterpart",
            "messages that were only marked as deleted",
        ],
    );
    let differs: Vec<_> = imported.told.iter().filter(|(weight, _)| *weight == Weight::Differs).collect();
    assert!(differs.iter().any(|(_, line)| line.starts_with("work: `MaxMessages 500`")), "{differs:?}");
}

#[test]
fn gmails_channels_are_one_account_with_renames() {
    let imported = imported(
        Tool::Mbsync,
        r#"
IMAPStore gmail-remote
Host imap.gmail.com
SSLType IMAPS
User me@gmail.com
Pass hunter2

MaildirStore gmail-local
Path ~/Mail/gmail/
Inbox ~/Mail/gmail/INBOX

Channel gmail-default
Master :gmail-remote:
Slave :gmail-local:
Patterns * ![Gmail]*

Channel gmail-trash
Master :gmail-remote:"[Gmail]/Trash"
Slave :gmail-local:trash

Channel gmail-sent
Far :gmail-remote:"[Gmail]/Sent Mail"
Near :gmail-local:sent

Group gmail
Channel gmail-default
Channel gmail-trash
Channel gmail-sent
"#,
    );
    assert_eq!(
        bare(&imported),
        r#"[accounts.gmail]
maildir = "~/Mail/gmail"
layout = "nested"
direction = "both"
deletions = "mark"
mailboxes = ["*", "![Gmail]*", "trash", "sent"]
rename = { "[Gmail]/Trash" = "trash", "[Gmail]/Sent Mail" = "sent" }
[accounts.gmail.imap]
host = "imap.gmail.com"
tls = "implicit"
user = "me@gmail.com"
"#
    );
    tells(
        &imported,
        &["`Pass …` (line 6) holds the password in clear text", "`mbsync gmail` is `mailtide sync gmail` now."],
    );
}

#[test]
fn a_store_that_accounts_share_becomes_a_tree_each() {
    let imported = imported(
        Tool::Mbsync,
        r#"
IMAPStore a
Host a.example.org
User a
UseIMAPS yes

IMAPStore b
Host b.example.org
UserCmd "echo b"

MaildirStore local
Path ~/Mail/
Inbox ~/Mail/Inbox

Channel a
Far :a:
Near :local:a/
Patterns % !Trash
Sync Pull

Channel b-inbox
Far :b:
Near :local:b/INBOX

Channel b-old
Far :b:Archive/
Near :local:b/Old/
Patterns *
Expunge Both
"#,
    );
    assert_eq!(
        bare(&imported),
        r#"[accounts.a]
maildir = "~/Mail/a"
layout = "nested"
direction = "pull"
deletions = "mark"
mailboxes = ["*", "!*/*", "!Trash"]
[accounts.a.imap]
host = "a.example.org"
tls = "implicit"
user = "a"
[accounts.b]
maildir = "~/Mail/b"
layout = "nested"
direction = "both"
deletions = "mark"
mailboxes = ["INBOX", "Old/*"]
rename = { "Archive" = "Old" }
[accounts.b.imap]
host = "b.example.org"
tls = "starttls"
user = "FILL-IN"
"#
    );
    tells(&imported, &["do not agree", "`UserCmd echo b` (line 9) gets the login name from a command"]);
}

#[test]
fn a_channel_of_inbox_alone_is_a_tree_that_is_inbox() {
    let imported = imported(
        Tool::Mbsync,
        "IMAPStore s\nHost h\nUser u\nSSLType None\n\nMaildirStore m\nPath ~/Mail/\n\nChannel c\nFar :m:work\nNear :s:\nSync Push\nExpunge Far\n",
    );
    let bare = bare(&imported);
    assert!(bare.starts_with("[accounts.c]\nmaildir = \"~/Mail/work\"\nlayout = \"maildir++\"\ndirection = \"pull\"\ndeletions = \"expunge\"\nmailboxes = [\"INBOX\"]\n"), "{bare}");
    assert!(bare.contains("tls = \"none\""));
}

#[test]
fn trash_and_maildir_plus_plus() {
    let imported = imported(
        Tool::Mbsync,
        "Expunge Both\nCreate Both\nRemove Both\n\nIMAPStore s\nHost h\nUser u\nTrash Bin\n\nMaildirStore m\nInbox ~/Maildir\nSubFolders Maildir++\n\n\
         Channel c\nFar :s:\nNear :m:\nPatterns *\n",
    );
    let bare = bare(&imported);
    assert!(bare.contains("maildir = \"~/Maildir\"\nlayout = \"maildir++\"\ndirection = \"both\"\ndeletions = \"trash\"\ntrash = \"Bin\"\n"), "{bare}");
}

#[test]
fn what_the_tree_calls_otherwise_is_tied_by_renames_or_told() {
    let home = tempfile::tempdir().unwrap();
    for dir in ["inbox", "Entw&APw-rfe", "Lists/rust"] {
        for sub in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(home.path().join("Mail").join(dir).join(sub)).unwrap();
        }
    }
    let config = "IMAPStore s\nHost h\nUser u\n\nMaildirStore m\nPath ~/Mail/\nInbox ~/Mail/inbox\nSubFolders Verbatim\n\nChannel c\nFar :s:\nNear :m:\nPatterns *\n";
    let imported_ = imported_in(home.path(), Tool::Mbsync, config);
    assert!(bare(&imported_).contains("rename = { \"Entwürfe\" = \"Entw&APw-rfe\" }\n"), "{}", imported_.text);
    tells(&imported_, &["mbsync has INBOX in ~/Mail/inbox", "mkdir -p ~/Mail && mv -n ~/Mail/inbox ~/Mail/INBOX"]);

    let config = config.replace("Verbatim", "Legacy").replace("Mail/inbox", "Mail/INBOX");
    std::fs::create_dir_all(home.path().join("Mail/Lists/.deep/cur")).unwrap();
    std::fs::create_dir_all(home.path().join("Mail/Lists/.deep/new")).unwrap();
    let imported_ = imported_in(home.path(), Tool::Mbsync, &config);
    tells(
        &imported_,
        &["`SubFolders Legacy` (line 8) is no layout here", "mv -n ~/Mail/Lists/.deep ~/Mail/Lists/deep"],
    );
}

#[test]
fn names_that_do_not_fit_keep_the_server_unchanged() {
    let imported = imported(
        Tool::Mbsync,
        "IMAPStore s\nHost h\nUser u\n\nMaildirStore m\nPath ~/Mail/\n\nChannel c\nFar :s:Work/\nNear :m:\nPatterns *\n\nChannel d\nFar :s:Bin\nNear :m:\n",
    );
    let bare = bare(&imported);
    assert!(bare.contains("direction = \"pull\"") && bare.contains("mailboxes = [\"Work/*\", \"Bin\"]"), "{bare}");
    tells(&imported, &["nothing is changed there", "`Bin` is INBOX in the tree, which Mailtide cannot do"]);

    let imported = super::super::tests::imported(
        Tool::Mbsync,
        "IMAPStore s\nHost h\nUser u\nRequireSSL no\n\nMaildirStore m\nPath ~/Mail/\nInbox ~/Mail/INBOX\n\n\
         Channel c\nFar :s:INBOX/\nNear :m:server/\nPatterns *\n\nChannel d\nFar :s:A\nNear :m:A/B\n",
    );
    assert_eq!(imported.taken.len(), 1, "{}", imported.text);
    tells(&imported, &["INBOX on the server is server in the tree.", "`A` cannot become `A/B`", "tls = \"starttls\""]);
}

#[test]
fn nothing_is_dropped_without_a_word() {
    let imported = imported(
        Tool::Mbsync,
        "Bogus 1\nIncludeCmd x\n\nIMAPStore s\nHost h\nUser u\nBogus 2\nSubscribedOnly yes\n\nMaildirStore m\nPath ~/Mail/\nBogus 3\nTrash t\n\nMaildirStore other\n\nChannel c\nFar :s:\nNear :m:\nPatterns *\nBogus 4\n\nChannel x\nFar :s:\nNear :s:\n",
    );
    tells(
        &imported,
        &[
            "`Bogus 1` (line 1)",
            "`IncludeCmd x`",
            "`Bogus 2` (line 7)",
            "`SubscribedOnly yes`",
            "`Bogus 3`",
            "`Trash t` (line 13) has no counterpart",
            "The store `other` is in no channel",
            "`Bogus 4`",
            "The channel `x` could not be taken over: both sides are servers",
        ],
    );
}
