//! A private Cyrus 3.6, IMAP and POP3, run by an unprivileged user.
//!
//! Debian's cyrus-imapd cannot be installed beside dovecot-imapd, so `tests/run` unpacks its packages into a
//! directory of their own and names it in `MAILTIDE_TEST_CYRUS`. Nothing else is needed: an `imapd.conf` with
//! `cyrus_user` set to the user at hand, `sasl_pwcheck_method: alwaystrue`, a `cyrus.conf` with the services.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::certs::{self, Certificate};
use super::scratch::{self, Scratch};
use super::server::{Daemon, Seat, Server, USER, free_ports};
use super::wire_log::{Format, WireLog};

pub struct Cyrus {
    _daemon: Daemon,
    /// IMAP, IMAP in TLS, POP3, POP3 in TLS.
    ports: [u16; 4],
    ca: PathBuf,
    telemetry: PathBuf,
    _scratch: Scratch,
    _seat: Seat,
}

impl Cyrus {
    /// `None`, said loudly, where Cyrus is not to be had.
    pub fn start() -> Option<Cyrus> {
        let Some(root) = root() else {
            eprintln!("SKIPPED: no Cyrus; `tests/run` as root fetches it and sets MAILTIDE_TEST_CYRUS");
            return None;
        };
        let seat = Seat::take();
        let scratch = Scratch::new();
        let ca = certs::write_authority(scratch.path());
        certs::write_server(scratch.path(), Certificate::Good);
        for dir in ["spool", "run", "conf/socket", "conf/proc", "conf/db", "conf/lock"] {
            fs::create_dir_all(scratch.path().join(dir)).unwrap();
        }
        // Cyrus records the sessions of a user who has a directory here.
        let telemetry = scratch.path().join("conf/log").join(USER);
        fs::create_dir_all(&telemetry).unwrap();
        let mut said = String::new();
        for _ in 0..5 {
            let ports = free_ports();
            let mut command = command(&root, scratch.path(), ports);
            scratch::give_away(scratch.path());
            scratch::drop_privileges(&mut command);
            match Daemon::start(&mut command, &scratch.path().join("output"), &ports) {
                Ok(daemon) => {
                    return Some(Cyrus { _daemon: daemon, ports, ca, telemetry, _scratch: scratch, _seat: seat });
                }
                Err(words) => said = words,
            }
        }
        panic!("Cyrus does not start: {said}");
    }
}

fn root() -> Option<PathBuf> {
    let named = std::env::var_os("MAILTIDE_TEST_CYRUS").map(PathBuf::from);
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cyrus");
    [named, Some(unpacked), Some(PathBuf::from("/"))]
        .into_iter()
        .flatten()
        .find(|r| ["imapd", "pop3d", "master"].iter().all(|p| r.join("usr/lib/cyrus/bin").join(p).is_file()))
}

fn command(root: &Path, dir: &Path, [imap, imaps, pop3, pop3s]: [u16; 4]) -> Command {
    let user = scratch::unprivileged();
    let d = dir.display();
    let imapd_conf = dir.join("imapd.conf");
    let text = format!(
        "configdirectory: {d}/conf\npartition-default: {d}/spool\ndefaultpartition: default\n\
         cyrus_user: {}\ncyrus_group: {}\nadmins: admin\n\
         sasl_pwcheck_method: alwaystrue\nsasl_mech_list: PLAIN LOGIN\nallowplaintext: yes\nvirtdomains: off\n\
         unixhierarchysep: yes\naltnamespace: yes\nautocreate_users: anyone\nautocreate_quota: 0\n\
         autocreate_post: 0\nautocreate_inbox_folders: Trash\nallowapop: no\nmunge8bit: no\nreject8bit: no\n\
         tls_server_cert: {d}/server.pem\ntls_server_key: {d}/server.key\n\
         proc_path: {d}/conf/proc\nmboxname_lockpath: {d}/conf/lock\nidlesocket: {d}/conf/socket/idle\n\
         lmtpsocket: {d}/conf/socket/lmtp\nnotifysocket: {d}/conf/socket/notify\n",
        user.name, user.group,
    );
    fs::write(&imapd_conf, text).unwrap();
    let bin = root.join("usr/lib/cyrus/bin");
    // -U 1: a process a session, so that a session's record is complete when its process is gone.
    let service = |name: &str, program: &str, port: u16| {
        let (program, more) = program.split_once(' ').unwrap_or((program, ""));
        format!(
            "  {name} cmd=\"{} -C {} {more} -U 1\" listen=\"127.0.0.1:{port}\" prefork=0\n",
            bin.join(program).display(),
            imapd_conf.display()
        )
    };
    let services = service("imap", "imapd", imap)
        + &service("imaps", "imapd -s", imaps)
        + &service("pop3", "pop3d", pop3)
        + &service("pop3s", "pop3d -s", pop3s);
    let cyrus_conf = dir.join("cyrus.conf");
    fs::write(&cyrus_conf, format!("START {{\n}}\nSERVICES {{\n{services}}}\nEVENTS {{\n}}\n")).unwrap();
    let mut command = Command::new(root.join("usr/lib/cyrus/bin/master"));
    command.arg("-C").arg(&imapd_conf).arg("-M").arg(&cyrus_conf);
    command.arg("-p").arg(dir.join("run/master.pid")).arg("-D");
    if let Some(libraries) = libraries(root) {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}

/// Where an unpacked package has its libraries: `usr/lib/TRIPLET`.
fn libraries(root: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(root.join("usr/lib")).ok()?;
    entries.flatten().map(|e| e.path()).find(|p| p.join("libcyrus.so.0").exists())
}

impl Server for Cyrus {
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
        WireLog::new(&self.telemetry, Format::Cyrus)
    }
}
