//! A non-blocking TCP socket that notes which direction blocked, so that the one who waits knows what for.
//!
//! TLS sits between the two directions: a read may need to write and the other way round. Only the socket sees which,
//! so it takes the note and [`Socket::wait`] polls for exactly that.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The socket under a [`Transport`](super::Transport).
#[derive(Debug)]
pub(super) struct Socket {
    tcp: TcpStream,
    blocked: PollFlags,
    /// Octets moved either way: what tells a slow peer from a silent one.
    moved: u64,
    /// Who wants to know the next octet that comes.
    watcher: Arc<OnceLock<u8>>,
    /// The beginning of what was read, as much as a ServerHello may take.
    beginning: Vec<u8>,
}

/// A ServerHello with the largest key share of today takes 1.5 kB.
const BEGINNING: usize = 4096;

impl Socket {
    /// Takes a connected socket that is non-blocking already.
    pub(super) fn new(tcp: TcpStream) -> Socket {
        Socket { tcp, blocked: PollFlags::empty(), moved: 0, watcher: Arc::default(), beginning: Vec::new() }
    }

    /// Octets moved so far, both ways together, as TCP carries them.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Waits until a direction that blocked since the last wait may go on, `most` at the longest; may end early.
    pub(super) fn wait(&mut self, most: Duration) -> io::Result<()> {
        let wanted = std::mem::replace(&mut self.blocked, PollFlags::empty());
        let mut fds = [PollFd::new(&self.tcp, wanted)];
        poll_for(&mut fds, most)
    }

    /// Tells the first octet that is read from now on, once there is one; it outlives a socket that a failed handshake
    /// swallowed.
    pub(super) fn watch_first_octet(&mut self) -> Arc<OnceLock<u8>> {
        self.watcher = Arc::default();
        self.beginning.clear();
        self.watcher.clone()
    }

    /// What was read since [`watch_first_octet`](Self::watch_first_octet), its beginning.
    pub(super) fn beginning(&self) -> &[u8] {
        &self.beginning
    }

    /// Whether the other end is this machine.
    pub(super) fn peer_is_loopback(&self) -> bool {
        self.tcp.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback())
    }

    fn note<T>(&mut self, result: io::Result<T>, direction: PollFlags) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::WouldBlock
        {
            self.blocked |= direction;
        }
        result
    }
}

/// `poll(2)` with a duration; a signal ends it early without an error, so that the caller asks `Stop`.
pub(super) fn poll_for(fds: &mut [PollFd<'_>], most: Duration) -> io::Result<()> {
    // `Stop` wants to be asked again soon anyway: a duration too long for the kernel is as good as an hour.
    let timeout = Timespec::try_from(most.min(Duration::from_secs(3600))).map_err(io::Error::other)?;
    match poll(fds, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let result = self.tcp.read(buf);
        if let Ok(read @ 1..) = result {
            self.moved += read as u64;
            self.watcher.get_or_init(|| buf.first().copied().unwrap_or_default());
            let room = BEGINNING - self.beginning.len();
            self.beginning.extend(buf.iter().take(read.min(room)));
        }
        self.note(result, PollFlags::IN)
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let result = self.tcp.write(buf);
        self.moved += result.as_ref().map_or(0, |n| *n as u64);
        self.note(result, PollFlags::OUT)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
