//! Fault points of the test build: what `MAILTIDE_FAULT` orders, counted over all threads.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};

use super::{Heard, Step};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kill,
    Disk(Errno),
    ReadOnlyTree,
    Line,
    Slow,
}

impl Kind {
    fn hits_lines(self) -> bool {
        matches!(self, Kind::Kill | Kind::Line)
    }
}

/// For how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasting {
    Once,
    FromThereOn,
    Always,
}

/// An ordered fault.
struct Order {
    kind: Kind,
    lasting: Lasting,
    at: u64,
    count: Mutex<Count>,
}

struct Count {
    steps: u64,
    log: Option<File>,
}

impl Order {
    /// Reads `KIND@N`.
    fn parse(text: &str, log: Option<File>) -> Option<Order> {
        let (kind, at) = text.split_once('@')?;
        let (kind, lasting) = match kind {
            "kill" => (Kind::Kill, Lasting::Once),
            "EIO" => (Kind::Disk(Errno::IO), Lasting::Once),
            "EACCES" => (Kind::Disk(Errno::ACCESS), Lasting::Once),
            "ENOSPC" => (Kind::Disk(Errno::NOSPC), Lasting::FromThereOn),
            "EROFS" => (Kind::Disk(Errno::ROFS), Lasting::FromThereOn),
            "EROFS-tree" => (Kind::ReadOnlyTree, Lasting::FromThereOn),
            "cut" => (Kind::Line, Lasting::Once),
            "down" => (Kind::Line, Lasting::FromThereOn),
            "slow" => (Kind::Slow, Lasting::Always),
            _ => return None,
        };
        Some(Order { kind, lasting, at: at.parse().ok()?, count: Mutex::new(Count { steps: 0, log }) })
    }

    /// Whether the fault can hit a step on disk.
    fn hits_disk(&self, step: Step) -> bool {
        match self.kind {
            Kind::Kill => true,
            Kind::Line => false,
            Kind::Disk(Errno::NOSPC) => !matches!(step, Step::Remove | Step::RemoveDirectory | Step::Protect),
            Kind::Disk(_) => true,
            Kind::ReadOnlyTree => !matches!(step, Step::Flush | Step::FlushDirectory | Step::Commit),
            Kind::Slow => matches!(step, Step::FlushDirectory | Step::Commit),
        }
    }

    /// Counts a step that the fault can hit; an error, or the end of the process, when it does.
    fn step(&self, word: &str) -> io::Result<()> {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.steps += 1;
        let steps = count.steps;
        if let Some(log) = &mut count.log {
            writeln!(log, "{steps} {word}")?;
        }
        let meant = match self.lasting {
            Lasting::Once => steps == self.at,
            Lasting::FromThereOn => steps >= self.at,
            Lasting::Always => true,
        };
        match self.kind {
            _ if !meant => Ok(()),
            Kind::Kill => {
                kill_process(getpid(), Signal::KILL)?;
                // No other thread takes another step: the count stays locked.
                loop {
                    std::thread::park();
                }
            }
            Kind::Disk(errno) => Err(errno.into()),
            Kind::ReadOnlyTree => Err(Errno::ROFS.into()),
            Kind::Line => Err(io::ErrorKind::ConnectionReset.into()),
            Kind::Slow => {
                drop(count);
                std::thread::sleep(Duration::from_millis(self.at));
                Ok(())
            }
        }
    }
}

fn order() -> Option<&'static Order> {
    static ORDER: OnceLock<Option<Order>> = OnceLock::new();
    let read = || {
        let text = std::env::var("MAILTIDE_FAULT").ok()?;
        let log = std::env::var_os("MAILTIDE_FAULT_LOG").and_then(|path| File::create(path).ok());
        Order::parse(&text, log)
    };
    ORDER.get_or_init(read).as_ref()
}

/// Comes before a step on disk.
pub fn disk(step: Step) -> io::Result<()> {
    match order() {
        Some(order) if order.hits_disk(step) => order.step(&format!("{step:?}")),
        _ => Ok(()),
    }
}

/// Comes before octets are sent.
pub fn send() -> io::Result<()> {
    line("Send")
}

/// Comes after octets were read behind those in `input` before; a line that is lost is taken out of it.
pub fn heard(input: &mut Vec<u8>) -> io::Result<Heard> {
    if !one_by_one() || !input.ends_with(b"\n") {
        return Ok(Heard::GoOn);
    }
    let mut before = input.iter().rev().skip(1);
    let begin = before.position(|b| *b == b'\n').map_or(0, |length| input.len().saturating_sub(length + 1));
    let is_untagged = input.get(begin..).is_some_and(|line| line.starts_with(b"* "));
    if !is_untagged && let Err(error) = line("Hear") {
        input.truncate(begin);
        return Err(error);
    }
    Ok(Heard::Line)
}

fn line(word: &str) -> io::Result<()> {
    match order() {
        Some(order) if order.kind.hits_lines() => order.step(word),
        _ => Ok(()),
    }
}

/// How many of `most` octets one read takes: no more than a line.
pub fn at_once(most: usize) -> usize {
    if one_by_one() { 1 } else { most }
}

/// Whether lines go over the wire one by one: a fault is ordered that can hit them.
fn one_by_one() -> bool {
    order().is_some_and(|order| order.kind.hits_lines())
}

/// What of `octets` is sent at once: a line.
pub fn piece(octets: &[u8]) -> &[u8] {
    let end = octets.iter().position(|b| *b == b'\n').filter(|_| one_by_one());
    end.and_then(|end| octets.get(..=end)).unwrap_or(octets)
}

/// How long a pause of `time` takes.
pub fn pause(time: Duration) -> Duration {
    if order().is_some() { time / 10 } else { time }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str, many: usize) -> Vec<bool> {
        let order = Order::parse(text, None).unwrap();
        (0..many).map(|_| order.step("x").is_err()).collect()
    }

    #[test]
    fn what_fails_once_goes_on_and_what_lasts_stays() {
        assert_eq!(steps("EIO@2", 4), [false, true, false, false]);
        assert_eq!(steps("cut@1", 2), [true, false]);
        assert_eq!(steps("EROFS@2", 3), [false, true, true]);
        assert_eq!(steps("down@3", 4), [false, false, true, true]);
    }

    #[test]
    fn what_is_no_order_is_none() {
        for text in ["", "kill", "kill@", "kill@x", "EPERM@1"] {
            assert!(Order::parse(text, None).is_none(), "{text}");
        }
    }

    #[test]
    fn a_full_disk_still_lets_files_go() {
        let order = Order::parse("ENOSPC@1", None).unwrap();
        assert!(order.hits_disk(Step::Rename) && !order.hits_disk(Step::Remove));
        assert!(!Order::parse("cut@1", None).unwrap().hits_disk(Step::Write));
    }

    #[test]
    fn a_tree_that_is_read_only_hinders_no_commit() {
        let order = Order::parse("EROFS-tree@1", None).unwrap();
        assert!(order.hits_disk(Step::Remove) && !order.hits_disk(Step::FlushDirectory));
        assert!(!order.hits_disk(Step::Commit) && Order::parse("EROFS@1", None).unwrap().hits_disk(Step::Commit));
    }
}
