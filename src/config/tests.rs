//! The configuration as a whole: good ones, and every complaint with its line.

use std::time::Duration;

use super::*;
use crate::maildrop::{Keep, Order};
use crate::remote::TlsMode;

fn load(text: &str) -> Result<Config> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(Some(&path))
}

#[test]
fn six_lines_make_a_working_account() {
    let config = load(EXAMPLE).unwrap();
    let [Account::Imap(account)] = config.accounts.as_slice() else { panic!("one account") };
    assert_eq!(account.name, "me");
    assert!(account.local.root.is_absolute() && account.local.root.ends_with("Mail"));
    assert_eq!(account.local.layout, Layout::Nested);
    assert_eq!((account.imap.server.port, account.imap.server.tls), (993, TlsMode::Implicit));
    assert_eq!((account.imap.connections, account.imap.compress), (4, false));
    assert_eq!(account.imap.server.timeout, Duration::from_secs(30));
    assert_eq!(account.direction, Direction::Both);
    assert_eq!(account.deletions, Deletions::Expunge);
    assert_eq!(account.max_delete, MaxDelete::Percent(50));
    assert!(account.mailboxes.selects(&MailboxName::inbox()));
    let line = "pass show mail/me".to_owned();
    assert_eq!(account.secret, SecretSource::Command { line, timeout: Duration::from_secs(60) });
}

#[test]
fn every_key_is_read() {
    let config = load(
        r#"
        [accounts.second]
        maildir = "mail/second"
        imap = { host = "b.example.org", user = "b", password = { prompt = true } }

        [accounts.first]
        maildir = "/var/mail/first"
        layout = "maildir++"
        direction = "pull"
        deletions = "trash"
        mailboxes = ["*", "!Spam"]
        rename = { "[Gmail]/All Mail" = "Archive" }
        max-delete = 100
        keywords = false
        trash = "Bin"
        [accounts.first.imap]
        host = "::1"
        port = 1_143
        tls = "starttls"
        user = "a"
        password = { command = "echo x", timeout = "5s" }
        ca-file = "ca.pem"
        pin = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        client-cert = "c.pem"
        client-key = "k.pem"
        connections = 2
        compress = true
        timeout = "1m 30s"
        disable = ["qresync", "AUTH=PLAIN"]
        "#,
    )
    .unwrap();
    let [Account::Imap(second), Account::Imap(first)] = config.accounts.as_slice() else {
        panic!("two accounts, in the file's order")
    };
    assert_eq!(second.local.root, config.path.parent().unwrap().join("mail/second"));
    assert_eq!(second.secret, SecretSource::Prompt);
    assert_eq!(first.local.layout, Layout::MaildirPlusPlus);
    assert_eq!((first.direction, first.deletions), (Direction::Pull, Deletions::Trash));
    assert!(!first.mailboxes.selects(&MailboxName::parse("Spam").unwrap()));
    assert_eq!(first.rename.local(&MailboxName::parse("[Gmail]/All Mail").unwrap()).path(), "Archive");
    assert_eq!((first.max_delete, first.keywords), (MaxDelete::Count(100), Keywords::Ignored));
    assert_eq!(first.trash.as_ref().unwrap().path(), "Bin");
    let server = &first.imap.server;
    assert_eq!((server.port, server.tls, server.timeout), (1143, TlsMode::StartTls, Duration::from_secs(90)));
    assert!(server.trust.pin.is_some() && server.trust.client.is_some());
    assert_eq!(server.trust.ca_file, Some(config.path.parent().unwrap().join("ca.pem")));
    assert_eq!((first.imap.connections, first.imap.compress), (2, true));
    assert_eq!(first.imap.disable.iter().collect::<Vec<_>>(), ["AUTH=PLAIN", "QRESYNC"]);
    let line = "echo x".to_owned();
    assert_eq!(first.secret, SecretSource::Command { line, timeout: Duration::from_secs(5) });
}

/// One line of an otherwise good account, the line's number it is reported at, a part of the message, of the hint.
#[test]
fn what_is_wrong_is_told_with_its_line() {
    let at_account =
        |line: &str| format!("[accounts.a]\nmaildir = '/m'\n{line}\n[accounts.a.imap]\nhost='h'\nuser='u'\n");
    let at_imap = |line: &str| format!("[accounts.a]\nmaildir = '/m'\n[accounts.a.imap]\nhost='h'\nuser='u'\n{line}\n");
    for (text, line, what, hint) in [
        ("[accounts.a\n".to_owned(), 1, "This is not TOML", ""),
        ("x = 1\n".to_owned(), 1, "Unknown key `x` at the top level", "The keys here are accounts"),
        ("\n[acounts.a]\n".to_owned(), 2, "Unknown key `acounts`", "Did you mean `accounts`?"),
        ("accounts = 3\n".to_owned(), 1, "`accounts` must be a table, not an integer", ""),
        ("[accounts.\"a/b\"]\n".to_owned(), 1, "is no name for an account", ""),
        ("[accounts.a]\n".to_owned(), 1, "`maildir` is missing in [accounts.a]", "maildir = \"~/Mail\""),
        ("[accounts.a]\nmaildir='/m'\n".to_owned(), 1, "`imap` is missing", "[accounts.a.imap]"),
        ("[accounts.a]\nmaildir='/m'\n[accounts.a.imap]\nuser='u'".to_owned(), 3, "`host` is missing", "host = "),
        (at_account("layuot = 'nested'"), 3, "Unknown key `layuot` in [accounts.a]", "Did you mean `layout`?"),
        (at_account("layout = 'nestd'"), 3, "must be \"nested\" or \"maildir++\", not \"nestd\"", "\"nested\"?"),
        (at_account("direction = true"), 3, "`accounts.a.direction` must be a string, not a boolean", ""),
        (at_account("keywords = 'yes'"), 3, "must be true or false, not a string", ""),
        (at_account("max-delete = '120%'"), 3, "must be a share", ""),
        (at_account("max-delete = -1"), 3, "must be from 0 up, not -1", ""),
        (at_account("mailboxes = '*'"), 3, "must be an array of strings, not a string", ""),
        (at_account("mailboxes = []"), 3, "selects nothing", "Leave the line out"),
        (at_account("mailboxes = [\n'*',\n'!']"), 3, "holds what is no pattern", "Lists/*"),
        (at_account("rename = { A = 'C', B = 'C' }"), 3, "meets another one", "one name"),
        (at_account("rename = { INBOX = 'C' }"), 3, "`INBOX` cannot be renamed", ""),
        (at_account("trash = 'a//b'"), 3, "names no mailbox", ""),
        (at_account("[accounts.a.pop3]"), 3, "`accounts.a.pop3` stands beside `imap`", "Make two accounts"),
        (at_imap("hots = 'h'"), 6, "Unknown key `hots` in [accounts.a.imap]", "Did you mean `host`?"),
        (at_imap("port = '993'"), 6, "`accounts.a.imap.port` must be an integer, not a string", ""),
        (at_imap("port = 65536"), 6, "must be from 1 to 65535, not 65536", ""),
        (at_imap("tls = 'ssl'"), 6, "must be \"implicit\" or \"starttls\" or \"none\"", ""),
        (at_imap("password = 'hunter2'"), 6, "must not be the password itself", "command"),
        (at_imap("password = {}"), 6, "names no source", "command"),
        (at_imap("password = { file = '/f', env = 'E' }"), 6, "names several sources", ""),
        (at_imap("password = { env = 'E', timeout = '5s' }"), 6, "belongs to `command` only", ""),
        (at_imap("password = { keyring = true }"), 6, "this version cannot ask a keyring", ""),
        (at_imap("password = { comand = 'x' }"), 6, "Unknown key `comand`", "Did you mean `command`?"),
        (at_imap("pin = 'abc'"), 6, "is no pin", "SHA-256"),
        (at_imap("client-key = '/k'"), 6, "needs `client-cert` beside it", ""),
        (at_imap("tls = 'none'\nca-file = '/c'"), 7, "`accounts.a.imap.ca-file` is not heeded", "Leave one"),
        (at_imap("pin = 'abc'\ntls = 'none'"), 6, "is not heeded with `tls = \"none\"`", "Leave one"),
        (at_imap("tls = 'none'\nclient-key = '/k'"), 7, "is not heeded", "Leave one"),
        (at_imap("connections = 0"), 6, "must be from 1 to 32, not 0", ""),
        (at_imap("timeout = 30"), 6, "must be a duration such as \"30s\", not an integer", ""),
        (at_imap("timeout = '30'"), 6, "is no duration", ""),
        (at_imap("timeout = '1ms'"), 6, "must be from 1s to 3600s", ""),
        (at_imap("disable = ['QRESINC']"), 6, "names no capability", "QRESYNC"),
        (at_imap("ca-file = '~me/ca.pem'"), 6, "starts with `~`", "~/"),
        (at_imap("host = 'x'"), 6, "This is not TOML: duplicate key", ""),
    ] {
        let error = load(&text).unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{text}");
        assert!(error.place().unwrap().ends_with(&format!("config.toml:{line}")), "{text}\n{error}");
        assert!(error.what().contains(what), "{text}\n{error}");
        assert!(error.hint_text().unwrap_or_default().contains(hint), "{text}\n{error}\n{:?}", error.hint_text());
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn every_key_of_a_maildrop_is_read() {
    let config = load(
        r#"
        [accounts.few]
        maildir = "/m/few"
        pop3 = { user = "me@gmail.com", recent = true }

        [accounts.all]
        maildir = "/m/all"
        layout = "maildir++"
        max-delete = "10%"
        [accounts.all.pop3]
        host = "pop.example.org"
        tls = "stls"
        user = "me"
        password = { env = "P" }
        auth = "apop"
        ca-file = "/ca.pem"
        timeout = "1m"
        disable = ["pipelining"]
        mailbox = "Lists/in"
        keep = "14d"
        max-size = "20M"
        max-messages = 500
        order = "newest"
        delete-after-local-deletion = true
        dedup = true
        fetched-before = { mpop = "/uidls" }
        "#,
    )
    .unwrap();
    let [Account::Pop3(few), Account::Pop3(all)] = config.accounts.as_slice() else { panic!("two maildrops") };
    assert_eq!((few.pop3.server.host.as_str(), few.pop3.server.port), ("pop.gmail.com", 995));
    assert_eq!((few.pop3.user.as_str(), few.pop3.server.tls), ("recent:me@gmail.com", TlsMode::Implicit));
    assert_eq!((&few.mailbox, &few.policy), (&MailboxName::inbox(), &MaildropPolicy::default()));
    assert_eq!((few.local_deletion, few.dedup), (LocalDeletion::Ignored, Dedup::Each));
    assert_eq!((all.pop3.server.port, all.pop3.server.tls), (110, TlsMode::StartTls));
    assert_eq!((all.pop3.auth.name(), all.pop3.disable.contains("PIPELINING")), ("apop", true));
    assert_eq!((all.mailbox.path(), all.max_delete), ("Lists/in", MaxDelete::Percent(10)));
    let keep = Keep::For(Duration::from_secs(14 * 24 * 3600));
    let (max_size, max_messages) = (Some(20_000_000), Some(500));
    assert_eq!(all.policy, MaildropPolicy { keep, max_size, max_messages, order: Order::Newest });
    assert_eq!((all.local_deletion, all.dedup), (LocalDeletion::Repeated, Dedup::Once));
    let before = FetchedBefore { by: fetched_before::Fetcher::Mpop, path: "/uidls".into() };
    assert_eq!((&few.fetched_before, &all.fetched_before), (&None, &Some(before)));
}

#[test]
fn what_is_wrong_with_a_maildrop_is_told_with_its_line() {
    let at = |line: &str| format!("[accounts.a]\nmaildir = '/m'\n[accounts.a.pop3]\nhost='h'\nuser='u'\n{line}\n");
    for (text, line, what, hint) in [
        (at("keep = 'soon'"), 6, "must be true, false, or a time", ""),
        (at("keep = '0d'"), 6, "must be true, false, or a time", "keep = false"),
        (at("keep = 14"), 6, "must be true, false, or a time", ""),
        (at("fetched-before = {}"), 6, "must name one file", ""),
        (at("fetched-before = { getmail = 'a', mpop = 'b' }"), 6, "must name one file", ""),
        (at("fetched-before = { fetchmail = 'a' }"), 6, "Unknown key `fetchmail`", "Did you mean `getmail`"),
        (at("max-size = '20 T'"), 6, "is no size", ""),
        (at("max-messages = 0"), 6, "must be from 1 up, not 0", ""),
        (at("tls = 'ssl'"), 6, "must be \"implicit\" or \"stls\" or \"starttls\" or \"none\"", ""),
        (at("auth = 'cram'"), 6, "must be \"auto\" or \"plain\"", ""),
        (at("tls = 'none'\nca-file = '/c'"), 7, "`accounts.a.pop3.ca-file` is not heeded", "Leave one"),
        (at("connections = 2"), 6, "open to one connection at a time", ""),
        (at("recent = true"), 6, "only Gmail has", ""),
        (at("disable = ['UIDLS']"), 6, "names no capability", "UIDL"),
        ("[accounts.a]\nmaildir='/m'\npop3={user='u'}".to_owned(), 3, "`host` is missing", "pop.example.org"),
        ("[accounts.a]\nmaildir='/m'\ntrash='T'\npop3={host='h',user='u'}".to_owned(), 3, "`trash` in", ""),
    ] {
        let error = load(&text).unwrap_err();
        assert!(error.place().unwrap().ends_with(&format!("config.toml:{line}")), "{text}\n{error}");
        assert!(error.what().contains(what), "{text}\n{error}");
        assert!(error.hint_text().unwrap_or_default().contains(hint), "{text}\n{error}");
    }
}

#[test]
fn a_missing_file_is_answered_with_six_lines_and_its_place() {
    let error = Config::load(Some(Path::new("/nowhere/config.toml"))).unwrap_err();
    assert_eq!(error.to_string(), "/nowhere/config.toml: There is no configuration");
    assert!(error.hint_text().unwrap().contains(EXAMPLE));
    let error = load("# nothing yet\n").unwrap_err();
    assert!(error.what() == "No account is configured" && error.hint_text().unwrap().contains(EXAMPLE));
}

#[test]
fn two_accounts_never_share_a_tree() {
    let two = |a: &str, b: &str| {
        let account =
            |name, root| format!("[accounts.{name}]\nmaildir = '{root}'\nimap = {{ host = 'h', user = 'u' }}\n");
        load(&(account("one", a) + &account("two", b)))
    };
    for (a, b, message) in [
        ("/m/x", "/m/x/", "The accounts `one` and `two` share the tree /m/x"),
        ("/m", "/m/x", "The tree of account `two`, /m/x, is inside that of `one`, /m"),
        ("/m/x/y", "/m/x", "The tree of account `one`, /m/x/y, is inside that of `two`, /m/x"),
    ] {
        assert_eq!(two(a, b).unwrap_err().what(), message);
    }
    two("/m/x", "/m/xy").unwrap();
}

#[test]
fn a_maildrop_may_share_a_tree_and_lie_in_none() {
    let account = |name: &str, root: &str, kind: &str| {
        format!("[accounts.{name}]\nmaildir='{root}'\n{kind}={{host='{kind}.example.org',user='{name}'}}\n")
    };
    let all = |trees: &[(&str, &str)]| {
        let names = ["a", "b", "c"].into_iter().zip(trees);
        load(&names.map(|(name, (root, kind))| account(name, root, kind)).collect::<String>())
    };
    for fine in [
        &[("/m", "imap"), ("/m", "pop3"), ("/m", "pop3")][..],
        &[("/m", "pop3"), ("/m/x", "imap")],
        &[("/m", "pop3"), ("/m/x", "pop3")],
    ] {
        all(fine).unwrap();
    }
    let error = all(&[("/m", "imap"), ("/m/x", "pop3")]).unwrap_err();
    assert_eq!(error.what(), "The tree of account `b`, /m/x, is inside that of `a`, /m");
    let flat = account("b", "/m", "pop3").replace("\npop3", "\nlayout='maildir++'\npop3");
    assert!(load(&(account("a", "/m", "imap") + &flat)).unwrap_err().what().contains("different layouts"));
    // One login over both protocols.
    let same = (account("a", "/m", "imap") + &account("b", "/m", "pop3")).replace("user='b'", "user='recent:A'");
    assert!(load(&same).unwrap_err().what().contains("seem to be one mailbox"));
}

#[test]
fn a_urls_account_has_one_name_a_tree() {
    let at = |url, maildir: &str| {
        let options =
            UrlOptions { maildir: maildir.into(), layout: Layout::Nested, ca_file: None, password_command: None };
        Account::from_url(url, options).unwrap().name().to_owned()
    };
    let name = at("imaps://me@host:1993", "/nowhere/a");
    assert!(name.starts_with("me@host-"), "{name}");
    assert_eq!(name, at("imap://me@host", "/nowhere/a/"));
    assert_ne!(name, at("imaps://me@host", "/nowhere/b"));
}
