//! A private Dovecot 2.3, IMAP and POP3: own configuration, ports, certificates, mail and log, run by an unprivileged user.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::certs::{self, Certificate};
use super::scratch::{self, Scratch};
use super::server::{Daemon, PASSWORD, Seat, Server, USER, find_program, free_ports};
use super::wire_log::{Format, WireLog};

/// How this Dovecot differs from one with everything on.
#[derive(Debug, Clone)]
pub struct Options {
    /// Replaces the capability list after the login; hidden commands still work, so tests look at the wire log.
    pub capability: Option<&'static str>,
    pub certificate: Certificate,
    pub tls: Tls,
    /// The delimiter of the hierarchy.
    pub separator: char,
    /// The personal namespace's prefix, with the delimiter.
    pub prefix: &'static str,
    /// Whether clients must show a certificate of the tests' authority.
    pub client_certificate: bool,
    /// The ways to log in.
    pub mechanisms: &'static str,
    /// More lines for the end of the configuration.
    pub extra: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Offered,
    Absent,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            capability: None,
            certificate: Certificate::Good,
            tls: Tls::Offered,
            separator: '/',
            prefix: "",
            client_certificate: false,
            mechanisms: "plain login",
            extra: "",
        }
    }
}

pub struct Dovecot {
    daemon: Option<Daemon>,
    options: Options,
    /// IMAP, IMAP in TLS, POP3, POP3 in TLS.
    ports: [u16; 4],
    ca: PathBuf,
    home: PathBuf,
    raw: PathBuf,
    scratch: Scratch,
    _seat: Seat,
}

/// Tests on a server that has everything, and on one that has as little as may be.
pub fn on_both(test: impl Fn(&Dovecot)) {
    test(&Dovecot::start());
    test(&Dovecot::showing("IMAP4rev1"));
}

impl Dovecot {
    /// Everything on.
    pub fn start() -> Dovecot {
        Dovecot::with(Options::default())
    }

    /// Shows `capability` only.
    pub fn showing(capability: &'static str) -> Dovecot {
        Dovecot::with(Options { capability: Some(capability), ..Options::default() })
    }

    pub fn with(options: Options) -> Dovecot {
        let seat = Seat::take();
        let scratch = Scratch::new();
        let home = scratch.directory("home");
        let raw = scratch.directory("raw");
        scratch.directory("run");
        scratch.directory("state");
        let ca = certs::write_authority(scratch.path());
        certs::write_server(scratch.path(), options.certificate);
        let mut server = Dovecot { daemon: None, options, ports: [0; 4], ca, home, raw, scratch, _seat: seat };
        server.launch();
        server
    }

    /// Ends the server; the mail stays, and so do the ports, for [`Dovecot::launch`].
    pub fn stop(&mut self) {
        self.daemon = None;
    }

    /// Starts the server, again if need be.
    pub fn launch(&mut self) {
        let program = find_program("dovecot").expect("dovecot is installed (tests/run does that)");
        let config = self.scratch.path().join("dovecot.conf");
        for attempt in 0.. {
            if self.ports[0] == 0 || attempt > 0 {
                self.ports = free_ports();
            }
            fs::write(&config, self.configuration()).unwrap();
            fs::write(self.scratch.path().join("passwd"), format!("{USER}:{{PLAIN}}{PASSWORD}\n")).unwrap();
            scratch::give_away(self.scratch.path());
            let mut command = Command::new(&program);
            command.arg("-F").arg("-c").arg(&config);
            scratch::drop_privileges(&mut command);
            let [imap, imaps, pop3, pop3s] = self.ports;
            let used = if self.options.tls == Tls::Offered { vec![imap, imaps, pop3, pop3s] } else { vec![imap, pop3] };
            match Daemon::start(&mut command, &self.scratch.path().join("output"), &used) {
                Ok(daemon) => {
                    self.daemon = Some(daemon);
                    return;
                }
                Err(said) => assert!(attempt < 5, "Dovecot does not start: {said}{}", self.log()),
            }
        }
    }

    /// Where it keeps a mailbox's `cur`, `new` and `tmp`.
    pub fn maildir(&self, mailbox: &str) -> PathBuf {
        self.home.join(USER).join("mail").join(mailbox)
    }

    /// The certificate it shows.
    pub fn certificate(&self) -> PathBuf {
        self.scratch.path().join("server.pem")
    }

    /// Removes what was recorded of sessions that have ended.
    pub fn forget_wire_log(&self) {
        fs::read_dir(&self.raw).unwrap().flatten().for_each(|entry| fs::remove_file(entry.path()).unwrap());
    }

    /// Its own log, for messages of failed tests.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("dovecot.log")).unwrap_or_default()
    }

    fn configuration(&self) -> String {
        let user = scratch::unprivileged();
        let Options { capability, tls, separator, prefix, client_certificate, mechanisms, extra, .. } = &self.options;
        let [port, tls_port, pop3, pop3_tls] = self.ports;
        let dir = self.scratch.path().display();
        let home = self.home.display();
        let ssl = if *tls == Tls::Offered { "yes" } else { "no" };
        let mut text = format!(
            "base_dir = {dir}/run\nstate_dir = {dir}/state\nlog_path = {dir}/dovecot.log\n\
             protocols = imap pop3\nlisten = 127.0.0.1\n\
             default_internal_user = {0}\ndefault_internal_group = {1}\ndefault_login_user = {0}\nfirst_valid_uid = 1\n\
             ssl = {ssl}\nssl_cert = <{dir}/server.pem\nssl_key = <{dir}/server.key\nssl_ca = <{dir}/ca.pem\n\
             ssl_require_crl = no\nssl_verify_client_cert = {verify}\nauth_ssl_require_client_cert = {verify}\n\
             disable_plaintext_auth = no\nauth_mechanisms = {mechanisms}\nauth_failure_delay = 0\n\
             passdb {{\n  driver = passwd-file\n  args = {dir}/passwd\n}}\n\
             userdb {{\n  driver = static\n  args = home={home}/%u\n}}\n\
             mail_location = maildir:%h/mail:LAYOUT=fs:INBOX=%h/mail/INBOX\n\
             mail_fsync = never\nmail_max_userip_connections = 50\nrawlog_dir = {raw}\n\
             namespace inbox {{\n  inbox = yes\n  separator = {separator}\n  prefix = {prefix}\n  \
             mailbox Trash {{\n    auto = create\n    special_use = \\Trash\n  }}\n}}\n\
             protocol imap {{\n  mail_plugins = zlib imap_zlib\n}}\n\
             service imap-login {{\n  chroot =\n  inet_listener imap {{\n    port = {port}\n  }}\n  \
             inet_listener imaps {{\n    port = {imaps}\n    ssl = yes\n  }}\n}}\n\
             service pop3-login {{\n  chroot =\n  inet_listener pop3 {{\n    port = {pop3}\n  }}\n  \
             inet_listener pop3s {{\n    port = {pop3s}\n    ssl = yes\n  }}\n}}\n\
             service anvil {{\n  chroot =\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n\
             service stats {{\n  chroot =\n}}\n",
            user.name,
            user.group,
            verify = if *client_certificate { "yes" } else { "no" },
            imaps = if *tls == Tls::Offered { tls_port } else { 0 },
            pop3s = if *tls == Tls::Offered { pop3_tls } else { 0 },
            raw = self.raw.display(),
        );
        if let Some(capability) = capability {
            writeln!(text, "imap_capability = {capability}").unwrap();
        }
        text.push_str(extra);
        text
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let from = log.lines().count().saturating_sub(15);
            let last: Vec<&str> = log.lines().skip(from).collect();
            eprintln!("--- the end of Dovecot's log\n{}", last.join("\n"));
        }
    }
}

impl Server for Dovecot {
    fn port(&self) -> u16 {
        self.ports[0]
    }

    fn tls_port(&self) -> u16 {
        self.ports[1]
    }

    fn pop3_port(&self) -> u16 {
        self.ports[2]
    }

    fn pop3_tls_port(&self) -> u16 {
        self.ports[3]
    }

    fn ca_file(&self) -> &Path {
        &self.ca
    }

    fn wire_log(&self) -> WireLog {
        WireLog::new(&self.raw, Format::Dovecot)
    }

    fn prefix(&self) -> &str {
        self.options.prefix
    }
}
