//! The bad-input table, as far as no server's answer is needed: each with its message and its exit code.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use tempfile::TempDir;

/// A home directory of its own, and the program in it with a clean environment and no terminal.
struct Home(TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self, text: &str) -> &Home {
        fs::create_dir_all(self.path(".config/mailtide")).unwrap();
        fs::write(self.path(".config/mailtide/config.toml"), text).unwrap();
        self
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command: Command = cargo_bin_cmd!("mailtide");
        let home = self.0.path();
        command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap()).current_dir(home);
        command.envs(variables.iter().copied());
        let output = command.args(args).write_stdin("").output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    #[track_caller]
    fn with(&self, code: i32, parts: &[&str]) {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, code, "{all}");
        for part in parts {
            assert!(all.contains(part), "`{part}` is not in:\n{all}");
        }
    }
}

const GOOD: &str = "[accounts.work]\nmaildir = '~/Mail'\n[accounts.work.imap]\nhost = 'localhost'\nuser = 'me'\n";

#[test]
fn without_a_configuration_six_lines_are_shown() {
    let home = Home::new();
    let place = home.path(".config/mailtide/config.toml");
    for command in ["sync", "status", "mailboxes", "check"] {
        let ended = home.run(&[command]);
        ended.with(3, &[place.to_str().unwrap(), "There is no configuration", "[accounts.me.imap]", "--maildir"]);
        assert_eq!(ended.out, "");
    }
    home.run(&["sync", "--config", "elsewhere.toml"]).with(3, &["elsewhere.toml: There is no configuration"]);
    let variable = |path| home.run_with(&["sync"], &[("MAILTIDE_CONFIG", path)]);
    variable("elsewhere.toml").with(3, &["elsewhere.toml: There is no configuration"]);
    // Set and empty is as good as not set.
    variable("").with(3, &[place.to_str().unwrap(), "There is no configuration"]);
}

#[test]
fn what_is_wrong_in_the_configuration_is_named_with_its_line() {
    let home = Home::new();
    for (text, parts) in [
        ("[accounts", &["config.toml:1: This is not TOML"][..]),
        ("", &["No account is configured", "[accounts.me]"]),
        (&GOOD.replace("host", "hots"), &["config.toml:4: Unknown key `hots` in [accounts.work.imap]", "mean `host`?"]),
        (&GOOD.replace("'me'", "3"), &["config.toml:5: `accounts.work.imap.user` must be a string, not an integer"]),
        (
            &format!("{GOOD}password = 'secret'"),
            &["config.toml:6: `accounts.work.imap.password` must not be the password"],
        ),
        (&format!("{GOOD}{}", GOOD.replace("work", "home")), &["The accounts `work` and `home` share the tree"]),
    ] {
        home.config(text).run(&["sync"]).with(3, parts);
    }
}

#[test]
fn usage_errors_end_with_2_and_say_what_would_do() {
    let home = Home::new();
    home.config(GOOD);
    for (args, parts) in [
        (&["synk"][..], &["similar subcommand", "sync"][..]),
        (&["sync", "--dry-rum"], &["--dry-run"]),
        (&["sync", "wrok"], &["There is no account `wrok`", "Did you mean `work`?"]),
        (&["sync", "zzz"], &["There is no account `zzz`", "The accounts are work."]),
        (&["sync", "--wait-lock", "5m"], &["There is no account `5m`", "`--wait-lock=5m`"]),
        (&["sync", "me@localhost"], &["There is no account `me@localhost`", "`imaps://me@localhost --maildir DIR`"]),
        (&["sync", "work", "--maildir", "m"], &["`--maildir` goes with a URL"]),
        (&["sync", "imaps://me@localhost"], &["needs a tree for its mail", "--maildir DIR"]),
        (&["sync", "imaps://localhost", "--maildir", "m"], &["The URL names no user"]),
        (&["sync", "work", "imaps://me@localhost", "--maildir", "m"], &["A URL stands alone"]),
        (&["sync", "--deadline", "30"], &["has to be a number with a unit"]),
        (&["sync", "--mailbox", "!"], &["`!` is no mailbox pattern"]),
        (&["sync", "--quiet", "--verbose"], &["cannot be used with"]),
        (&["sync", "--connections", "0"], &["1..=32"]),
        (
            &["sync", "pop3s://me@localhost", "--maildir", "m", "--connections", "2"],
            &["`--connections` goes with an IMAP account", "one connection at a time"],
        ),
    ] {
        home.run(args).with(2, parts);
    }
    let ended = home.run(&["sync", "imaps://me:hunter2@localhost", "--maildir", "m"]);
    ended.with(2, &["A password in the URL would be seen", "--password-command"]);
    assert!(!ended.err.contains("hunter2"));
}

#[test]
fn a_password_that_cannot_be_had_is_told_by_its_source() {
    let home = Home::new();
    // Connections are taken by the backlog: the password is asked for before a word is said.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let open = home.path("open");
    fs::write(&open, "secret\n").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    for (password, parts) in [
        (
            "{ command = 'echo no such entry >&2; exit 7' }",
            &["failed (exit status: 7): `no such entry`", "by hand"][..],
        ),
        ("{ command = 'sleep 20', timeout = '200ms' }", &["did not end within 200ms", "timeout = \"5m\""]),
        ("{ command = 'true' }", &["printed nothing"]),
        ("{ file = '~/open' }", &["is open to others (mode 644)", "chmod 600"]),
        ("{ file = '~/none' }", &["cannot be read", "none"]),
        ("{ env = 'MAILTIDE_NOT_SET' }", &["$MAILTIDE_NOT_SET is not set"]),
        ("{ prompt = true }", &["without a terminal nobody can be asked", "MAILTIDE_PASSWORD"]),
    ] {
        let text = GOOD.replace("'localhost'", "'127.0.0.1'");
        home.config(&format!("{text}port = {port}\ntls = 'none'\npassword = {password}\n"));
        let ended = home.run(&["check", "--json"]);
        ended.with(3, &[]);
        let found = ended.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let bad: Vec<_> = found.filter(|finding| finding["mark"] == "bad").collect();
        assert_eq!(bad.len(), 1, "{}", ended.out);
        assert_eq!((&bad[0]["event"], &bad[0]["subject"]), (&"finding".into(), &"password".into()));
        let told = format!("{} {}", bad[0]["what"], bad[0]["fix"]).replace("\\\"", "\"");
        assert!(!told.contains("exit 7"), "a command's line may hold a secret: {told}");
        parts.iter().for_each(|part| assert!(told.contains(part), "{part}: {told}"));
        assert!(!ended.out.contains("secret"));
    }
}

#[test]
fn check_goes_on_after_a_failure() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let text = GOOD.replace("'localhost'", "'127.0.0.1'");
    let ended = home.config(&format!("{text}port = {port}\n")).run(&["check"]);
    ended.with(
        5,
        &[
            "ok    work: config:",
            "ok    work: name:",
            "FAIL  work: tcp:",
            "refused",
            "fix:",
            "work: state:",
            "work: tree:",
        ],
    );
    assert!(!home.path("Mail").exists() && !home.path(".local").exists(), "looking makes nothing");
}

#[test]
fn a_deadline_names_the_accounts_that_nobody_looked_at() {
    let home = Home::new();
    home.config(&format!("{GOOD}{}", GOOD.replace("work", "home").replace("~/Mail", "~/Home")));
    let ended = home.run(&["sync", "--quiet", "--deadline", "0s"]);
    ended.with(130, &["work, home: The deadline has passed"]);
}

#[test]
fn help_completions_and_pages_go_to_standard_output() {
    let home = Home::new();
    for (args, part) in [
        (&["--help"][..], "Examples:"),
        (&["sync", "-h"], "--allow-deletions <MAILBOX|all>"),
        (&["--version"], "mailtide "),
        (&["completions", "bash"], "_mailtide"),
        (&["man"], ".TH mailtide 1"),
        (&["man", "--toml"], ".TH mailtide.toml 5"),
    ] {
        let ended = home.run(args);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}");
        assert!(ended.out.contains(part), "{args:?}: {}", ended.out);
    }
    home.run(&[]).with(2, &["Usage: mailtide"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    let binary = assert_cmd::cargo::cargo_bin!("mailtide");
    let line = format!("'{}' man --toml | head -c 10; exit ${{PIPESTATUS[0]}}", binary.display());
    let output = std::process::Command::new("bash").arg("-c").arg(line).current_dir(home.0.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout.len(), 10);
}
