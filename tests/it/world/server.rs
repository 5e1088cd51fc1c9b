//! What all real servers have in common, and what starting one takes: a free port, patience, and an end.

use std::cell::Cell;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::client::Client;
use super::wire_log::WireLog;

pub const USER: &str = "me";
pub const PASSWORD: &str = "se cret\"\\";

/// A running IMAP and POP3 server with one account, [`USER`] and [`PASSWORD`].
pub trait Server {
    /// Plain text, or STARTTLS.
    fn port(&self) -> u16;
    /// Implicit TLS.
    fn tls_port(&self) -> u16;
    /// POP3: plain text, or STLS.
    fn pop3_port(&self) -> u16;
    /// POP3 in implicit TLS.
    fn pop3_tls_port(&self) -> u16;
    /// The authority its certificate is signed by (or not).
    fn ca_file(&self) -> &Path;
    /// What clients said to it.
    fn wire_log(&self) -> WireLog;
    /// What stands before the name of a mailbox, with the delimiter.
    fn prefix(&self) -> &str {
        ""
    }
    /// A second, independent client.
    fn client(&self) -> Client {
        Client::connect(self.port(), self.prefix())
    }
}

/// A place among the servers that may run at the same time: tests run in parallel, machines are small.
///
/// A test that has one may have more, or two tests could wait for each other's.
pub struct Seat {
    counted: bool,
}

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();
const SEATS: usize = 4;

thread_local! {
    static MINE: Cell<usize> = const { Cell::new(0) };
}

impl Seat {
    pub fn take() -> Seat {
        let counted = MINE.get() == 0;
        MINE.set(MINE.get() + 1);
        if counted {
            let mut taken = TAKEN.lock().unwrap();
            while *taken == SEATS {
                taken = FREED.wait(taken).unwrap();
            }
            *taken += 1;
        }
        Seat { counted }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        MINE.set(MINE.get() - 1);
        if self.counted {
            *TAKEN.lock().unwrap() -= 1;
            FREED.notify_one();
        }
    }
}

/// Ports that nobody listens on right now; another process may still be quicker, so starting is tried again.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|l| l.local_addr().unwrap().port())
}

/// A server's main process; ends it, by its id, when dropped.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts `command` and waits until each of `ports` accepts; `Err` holds what the server said when it ended before.
    pub fn start(command: &mut Command, log: &Path, ports: &[u16]) -> Result<Daemon, String> {
        let output = File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        // Cyrus ends by signalling its whole process group, which must not be that of the tests.
        command.process_group(0);
        let mut daemon = Daemon { child: command.spawn().unwrap() };
        let limit = Instant::now() + Duration::from_secs(30);
        for port in ports {
            while TcpStream::connect(("127.0.0.1", *port)).is_err() {
                if let Some(status) = daemon.child.try_wait().unwrap() {
                    return Err(format!("ended with {status}: {}", std::fs::read_to_string(log).unwrap_or_default()));
                }
                assert!(Instant::now() < limit, "{command:?} does not accept connections");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(daemon)
    }

    /// Ends it and waits until it has.
    pub fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let limit = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > limit {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Finds a program that distributions keep out of an ordinary user's PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|d| d.join(name)).find(|p| p.is_file())
}
