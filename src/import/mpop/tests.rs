//! Configurations as people have them.

use super::super::tests::{bare, imported, imported_in, tells};
use super::*;

#[test]
fn accounts_inherit() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("u")).unwrap();
    std::fs::write(home.path().join("u/joe@h_pop.freemail.example"), "# mpop\n 1 pop.freemail.example joe@h\nABC\n")
        .unwrap();
    let imported = imported_in(
        home.path(),
        Tool::Mpop,
        r#"# defaults for all
defaults
tls on
tls_starttls off
tls_trust_file /etc/ssl/certs/ca-certificates.crt
delivery maildir ~/Mail/incoming
uidls_file "~/u/%U_%H"
timeout off

account freemail
host pop.freemail.example
user joe@h
passwordeval "gpg2 --no-tty -q -d ~/.mpop-password.gpg"
keep on
skipsize 2m

account freemail2 : freemail
user joey
password hunter2
tls_starttls on
tls_trust_file system
tls_fingerprint 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33
auth scram-sha-1
keep

account isp
host mail.isp.example
port 110
user 12345
tls off
delivery mda "/usr/bin/procmail -f '%F' -d $USER"
filter if [ "`grep "^X-Spam-Status: Yes"`" ]; then exit 1; fi
killsize 5m
bogus x

account default : freemail
account odd : nobody
host o
user o
"#,
    );
    let here = home.path().display().to_string();
    assert_eq!(
        bare(&imported).replace(&here, "HOME"),
        r#"[accounts.freemail]
maildir = "~/Mail/incoming"
layout = "maildir++"
[accounts.freemail.pop3]
host = "pop.freemail.example"
tls = "implicit"
user = "joe@h"
password = { command = "gpg2 --no-tty -q -d ~/.mpop-password.gpg" }
ca-file = "/etc/ssl/certs/ca-certificates.crt"
timeout = "1h"
keep = true
max-size = 2097152
fetched-before = { mpop = "HOME/u/joe@h_pop.freemail.example" }
[accounts.freemail2]
maildir = "~/Mail/incoming"
layout = "maildir++"
[accounts.freemail2.pop3]
host = "pop.freemail.example"
tls = "stls"
user = "joey"
timeout = "1h"
keep = true
max-size = 2097152
[accounts.isp]
maildir = "~/Mail/isp"
[accounts.isp.pop3]
host = "mail.isp.example"
port = 110
tls = "none"
user = "12345"
timeout = "1h"
keep = false
[accounts.odd]
maildir = "~/Mail/incoming"
layout = "maildir++"
[accounts.odd.pop3]
host = "o"
tls = "implicit"
user = "o"
ca-file = "/etc/ssl/certs/ca-certificates.crt"
timeout = "1h"
keep = false
"#
    );
    tells(
        &imported,
        &[
            "1 messages were fetched before",
            "`password …` (line 19) holds the password in clear text",
            "holds a fingerprint that is no SHA-256",
            "Without TLS nothing is verified: there is no `ca-file`",
            "`delivery mda \"/usr/bin/procmail -f '%F' -d $USER\"` (line 31) is no Maildir",
            "`filter if [",
            "`killsize 5m`",
            "`bogus x` (line 34)",
            "The account `default` is `freemail` under another name",
            "names an account that is not there: `nobody`",
        ],
    );
}

#[test]
fn an_account_without_a_user_is_a_comment() {
    let imported = imported(Tool::Mpop, "account a\nhost h\neval echo user me\n");
    assert_eq!(imported.refused, ["a"]);
    tells(
        &imported,
        &["The account `a` could not be taken over: `user` is missing", "`eval echo user me` (line 3) was not run"],
    );
}
