//! The first line that a shell command prints, within a time and a size.
//!
//! The command keeps the terminal (a PIN entry may need it) but not stdin. Where no terminal exists, as under cron, it
//! gets its own process group, so that a timeout ends its children too.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::{Error, Kind, Result, safe_line};
use crate::stop::Stop;

/// The `SSL_CERT_FILE` that a run may have set for itself, spelt as nobody else does: a command does not get it.
pub const NO_BUNDLE: &str = "/dev//null";
/// More than any password; what a command prints beyond it is an error.
const LIMIT: usize = 64 * 1024;
/// How much of what the command says on stderr is kept.
const WORDS: usize = 1024;
/// How often the child, the clock and [`Stop`] are looked at.
const SLICE: Duration = Duration::from_millis(20);

/// Runs `line` and gives its first line of output without the line end.
///
/// # Errors
/// Kind `Config` with the command's own words: it could not be run, failed, took longer than `timeout`, printed nothing
/// or no UTF-8; `Interrupted` when `stop` says so.
pub(super) fn first_line(line: &str, timeout: Duration, what_for: &str, stop: &Stop) -> Result<String> {
    let grouped = File::open("/dev/tty").is_err();
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if grouped {
        command.process_group(0);
    }
    if std::env::var_os("SSL_CERT_FILE").is_some_and(|file| file == NO_BUNDLE) {
        command.env_remove("SSL_CERT_FILE");
    }
    let mut child = command.spawn().map_err(|e| {
        Error::new(Kind::Config, format!("The password command for {what_for} could not run")).because(e)
    })?;
    let outcome = follow(&mut child, timeout, stop);
    if !matches!(outcome, Ok(Some(_))) {
        end(&mut child, grouped);
    }
    let failed = |how: &str, words: &[u8]| {
        let text = safe_line(String::from_utf8_lossy(words).trim());
        let said = if text.is_empty() { String::new() } else { format!(": `{text}`") };
        Error::new(Kind::Config, format!("The password command for {what_for} {how}{said}"))
    };
    // Not the command itself: its line may hold what is secret.
    let by_hand = "Run the command by hand";
    let Some(Finished { status, output, words }) = outcome? else {
        return Err(failed(&format!("did not end within {timeout:?} and was stopped"), &[]).hint(format!(
            "{by_hand} to see what it waits for; `timeout = \"5m\"` beside `command` gives it longer."
        )));
    };
    if !status.success() {
        return Err(failed(&format!("failed ({status})"), &words).hint(format!("{by_hand} to see why.")));
    }
    let first = output.split(|b| *b == b'\n').next().unwrap_or_default();
    let first = first.strip_suffix(b"\r").unwrap_or(first);
    if first.is_empty() {
        return Err(failed("printed nothing", &words)
            .hint(format!("{by_hand}: it has to print the password as its first line.")));
    }
    if first.len() >= LIMIT {
        return Err(failed("printed a line of 64 KiB or more", &words));
    }
    String::from_utf8(first.to_vec()).map_err(|_| failed("printed what is not UTF-8", &words))
}

struct Finished {
    status: ExitStatus,
    output: Vec<u8>,
    words: Vec<u8>,
}

/// Waits for the child and takes what it prints; `None` when the time is over.
fn follow(child: &mut Child, timeout: Duration, stop: &Stop) -> Result<Option<Finished>> {
    let started = Instant::now();
    let mut stdout = Pipe::new(child.stdout.take(), LIMIT);
    let mut stderr = Pipe::new(child.stderr.take(), WORDS);
    let broken = |e| Error::new(Kind::Config, "The password command cannot be followed").because(e);
    loop {
        stop.check()?;
        let late = started.elapsed() >= timeout;
        // Asked before reading: what the child wrote before it ended is then still read below.
        let status = child.try_wait().map_err(broken)?;
        let wait = if status.is_some() { Duration::ZERO } else { stop.slice(SLICE) };
        let moved = take_ready(&mut stdout, &mut stderr, wait).map_err(|e| broken(e.into()))?;
        match status {
            Some(status) if late || !moved => {
                return Ok(Some(Finished { status, output: stdout.taken, words: stderr.taken }));
            }
            None if late => return Ok(None),
            _ => {}
        }
    }
}

/// Waits at most `wait` for either pipe and reads what is there; whether any octet came.
fn take_ready<A: Read + AsFd, B: Read + AsFd>(
    stdout: &mut Pipe<A>,
    stderr: &mut Pipe<B>,
    wait: Duration,
) -> rustix::io::Result<bool> {
    let (out_ready, err_ready) = {
        let mut fds = Vec::with_capacity(2);
        if let Some(s) = &stdout.stream {
            fds.push(PollFd::new(s, PollFlags::IN));
        }
        if let Some(s) = &stderr.stream {
            fds.push(PollFd::new(s, PollFlags::IN));
        }
        let time = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        match poll(&mut fds, Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        (stdout.stream.is_some() && ready.next().unwrap_or(false), ready.next().unwrap_or(false))
    };
    let out = out_ready && stdout.read();
    let err = err_ready && stderr.read();
    Ok(out || err)
}

/// One end of what the child prints: kept up to a limit, read to the end.
struct Pipe<S> {
    stream: Option<S>,
    taken: Vec<u8>,
    limit: usize,
}

impl<S: Read> Pipe<S> {
    fn new(stream: Option<S>, limit: usize) -> Pipe<S> {
        Pipe { stream, taken: Vec::new(), limit }
    }

    /// Reads once from a stream that is ready; whether an octet came.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let got = self.stream.as_mut().and_then(|s| s.read(&mut buffer).ok()).unwrap_or(0);
        if got == 0 {
            self.stream = None;
        }
        let room = self.limit.saturating_sub(self.taken.len());
        self.taken.extend(buffer.iter().take(got.min(room)));
        got > 0
    }
}

/// Kills the command, and its children where it has a process group of its own.
fn end(child: &mut Child, grouped: bool) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).filter(|_| grouped);
    let killed = group.is_some_and(|pid| kill_process_group(pid, Signal::KILL).is_ok());
    if killed || child.kill().is_ok() {
        let _ = child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<String> {
        first_line(line, Duration::from_secs(20), "account `work`", &Stop::default())
    }

    #[test]
    fn the_first_line_is_the_password() {
        assert_eq!(run("echo ' p ä\"\\ss '; echo user: me").unwrap(), " p ä\"\\ss ");
        assert_eq!(run("printf 'x\\r\\n'").unwrap(), "x");
        assert_eq!(run("printf no-line-end").unwrap(), "no-line-end");
    }

    #[test]
    fn what_goes_wrong_is_said_in_the_commands_words() {
        for (line, message) in [
            (
                "echo 'gpg: no \u{1b}[1msecret key' >&2; exit 3",
                "`work` failed (exit status: 3): `gpg: no \\u{1b}[1msecret key`",
            ),
            ("true", "`work` printed nothing"),
            ("echo; echo x", "`work` printed nothing"),
            ("printf '\\377\\n'", "`work` printed what is not UTF-8"),
            ("head -c 70000 /dev/zero | tr '\\0' x", "`work` printed a line of 64 KiB or more"),
        ] {
            let error = run(line).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.what().ends_with(message), "{line}: {}", error.what());
        }
    }

    #[test]
    fn a_command_that_hangs_is_stopped() {
        let started = Instant::now();
        let error = first_line("sleep 30; echo late", Duration::from_millis(50), "it", &Stop::default()).unwrap_err();
        assert!(error.what().contains("did not end within 50ms"), "{}", error.what());
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_child_that_keeps_the_pipe_open_does_not_hold_the_run() {
        let started = Instant::now();
        assert_eq!(run("echo x; sleep 30 &").unwrap(), "x");
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn stopping_the_run_stops_the_command() {
        let stop = Stop::new(std::sync::Arc::new(true.into()), None);
        let error = first_line("sleep 30", Duration::from_secs(20), "it", &stop).unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted);
    }
}
