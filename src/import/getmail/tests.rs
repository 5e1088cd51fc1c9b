//! Configurations as people have them.

use super::super::tests::{bare, imported, imported_in, tells};
use super::*;

#[test]
fn a_maildrop_with_everything() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("oldmail-pop.example.org-1995-me@example.org"),
        "a\x001700000000\nb\x001700000001\n",
    )
    .unwrap();
    let imported = imported_in(
        home.path(),
        Tool::Getmail,
        r#"[retriever]
type = SimplePOP3SSLRetriever
server = pop.example.org
port = 1995
username = me@example.org
password_command = ("pass", "show", "mail/it's me")
ca_certs = /etc/ssl/ca.pem
timeout = 90
use_apop = false

[destination]
type = Maildir
path = ~/Maildir/
filemode = 0640

[options]
read_all = false
delete = false
delete_after = 14
max_message_size = 5000000
max_messages_per_session = 100
max_bytes_per_session = 0
delivered_to = false
message_log = ~/.getmail/log
bogus = 1

[filter-1]
type = Filter_external
"#,
    );
    let here = home.path().display().to_string();
    assert_eq!(
        bare(&imported).replace(&here, "HOME"),
        r#"[accounts.old]
maildir = "~/Maildir"
layout = "maildir++"
[accounts.old.pop3]
host = "pop.example.org"
port = 1995
tls = "implicit"
user = "me@example.org"
password = { command = "pass show 'mail/it'\\''s me'" }
ca-file = "/etc/ssl/ca.pem"
timeout = "90s"
keep = "14d"
max-size = 5000000
max-messages = 100
fetched-before = { getmail = "HOME/oldmail-pop.example.org-1995-me@example.org" }
"#
    );
    tells(
        &imported,
        &[
            "2 messages were fetched before",
            "`filemode 0640`",
            "[filter-1] has no counterpart",
            "`bogus 1` (line 25)",
            "`message_log ~/.getmail/log`",
        ],
    );
}

#[test]
fn keeping_is_the_default_and_other_destinations_are_told() {
    let rest = "[retriever]\ntype = MultidropPOP3Retriever\nserver = h\nusername = u\npassword = hunter2\nenvelope_recipient = delivered-to:1\n[destination]\ntype = MDA_external\npath = /usr/bin/procmail\n";
    let kept = imported(Tool::Getmail, rest);
    assert!(bare(&kept).contains("keep = true\n") && bare(&kept).contains("tls = \"none\"\n"));
    assert!(bare(&kept).contains("maildir = \"~/Mail/old\""), "{}", kept.text);
    tells(
        &kept,
        &[
            "`type = MDA_external` in [destination] is no Maildir",
            "tells mail apart by its recipients",
            "`path /usr/bin/procmail`",
        ],
    );
    let deleted = imported(Tool::Getmail, &format!("{rest}[options]\ndelete = true\ndelete_after = 3\n"));
    assert!(bare(&deleted).contains("keep = false\n"));
}

#[test]
fn imap_only_follows_the_server() {
    let imported = imported(
        Tool::Getmail,
        "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = imap.example.org\nusername = u\nmailboxes = ('INBOX', \"lists.unix\",)\nmove_on_delete = x\n[destination]\ntype = Maildir\npath = /srv/mail/u/\n[options]\ndelete = yes\n",
    );
    assert_eq!(
        bare(&imported),
        "[accounts.old]\nmaildir = \"/srv/mail/u\"\nlayout = \"maildir++\"\ndirection = \"pull\"\ndeletions = \"never\"\nmailboxes = [\"INBOX\", \"lists.unix\"]\n\
         [accounts.old.imap]\nhost = \"imap.example.org\"\ntls = \"implicit\"\nuser = \"u\"\n"
    );
    tells(
        &imported,
        &["getmail deletes on the server what it has fetched", "puts all mailboxes into one", "`move_on_delete x`"],
    );
}

#[test]
fn tuples_are_pythons() {
    let words = |text| tuple(text).map(|words| words.join("|"));
    for (text, expected) in [
        ("(\"a b\", 'c\"d',\n'e\\'f')", Some("a b|c\"d|e'f")),
        ("('one',)", Some("one")),
        ("()", Some("")),
        ("('a' 'b')", None),
        ("('a", None),
        ("('a", None),
        ("(a)", None),
        ("a", None),
    ] {
        assert_eq!(words(text).as_deref(), expected, "{text}");
    }
}
