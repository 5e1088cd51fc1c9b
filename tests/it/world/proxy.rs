//! A loopback proxy that delays, cuts, stalls, and keeps what passed through it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What happens to the octets of one direction, counted over one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trouble {
    #[default]
    None,
    /// Both directions end after this many.
    CutAfter(u64),
    /// Nothing more passes after this many; the connection stays open.
    StallAfter(u64),
    /// What follows the first `after` passes at `a_second` octets a second, also when the sender has long gone.
    Trickle { after: u64, a_second: u64 },
}

/// How a proxy treats its connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// Half of it is added on each way.
    pub round_trip: Duration,
    pub to_server: Trouble,
    pub to_client: Trouble,
    /// Connections from this one on (from 0) have no trouble.
    pub heals_at: Option<usize>,
}

/// Listens until dropped; connections end with their peers.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    /// Taken from clients, passed on or not.
    taken: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
    heard: Mutex<Vec<u8>>,
}

impl Proxy {
    pub fn start(server_port: u16, manner: Manner) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::downgrade(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Some(shared) = for_thread.upgrade() else { return };
                let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)) else { return };
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                let healed = manner.heals_at.is_some_and(|n| number >= n);
                let trouble = |t: Trouble| if healed { Trouble::None } else { t };
                let half = manner.round_trip / 2;
                let (up, down) = (trouble(manner.to_server), trouble(manner.to_client));
                pump(client.try_clone().unwrap(), server.try_clone().unwrap(), half, up, Way::ToServer, shared.clone());
                pump(server, client, half, down, Way::ToClient, shared);
            }
        });
        Proxy { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Octets taken from clients, whether they have passed on or not.
    pub fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::SeqCst)
    }

    /// Octets that passed to the server and to the client.
    pub fn octets(&self) -> (u64, u64) {
        (self.shared.to_server.load(Ordering::SeqCst), self.shared.to_client.load(Ordering::SeqCst))
    }

    /// What clients said, all connections mixed; text only where they spoke without TLS.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.shared.heard.lock().unwrap()).into_owned()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Wakes the listener, which finds nobody to serve any more.
        let shared = std::mem::take(&mut self.shared);
        drop(shared);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

#[derive(Clone, Copy)]
enum Way {
    ToServer,
    ToClient,
}

fn pump(mut from: TcpStream, to: TcpStream, delay: Duration, trouble: Trouble, way: Way, shared: Arc<Shared>) {
    let (sender, receiver) = mpsc::sync_channel::<(Instant, Vec<u8>)>(1024);
    let from_too = from.try_clone().unwrap();
    let for_reader = shared.clone();
    std::thread::spawn(move || deliver(receiver, from_too, to, trouble, way, &shared));
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if let Way::ToServer = way {
                for_reader.taken.fetch_add(n as u64, Ordering::SeqCst);
            }
            if sender.send((Instant::now() + delay, buffer[..n].to_vec())).is_err() {
                return;
            }
        }
    });
}

fn deliver(
    queue: Receiver<(Instant, Vec<u8>)>,
    from: TcpStream,
    mut to: TcpStream,
    trouble: Trouble,
    way: Way,
    shared: &Shared,
) {
    let mut passed = 0u64;
    while let Ok((due, bytes)) = queue.recv() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let limit = match trouble {
            Trouble::None | Trouble::Trickle { .. } => u64::MAX,
            Trouble::CutAfter(n) | Trouble::StallAfter(n) => n,
        };
        let share = bytes.len().min(usize::try_from(limit - passed).unwrap_or(usize::MAX));
        passed += share as u64;
        if let Trouble::Trickle { after, a_second } = trouble
            && passed > after
        {
            std::thread::sleep(Duration::from_millis(1000 * share as u64 / a_second));
        }
        let counter = match way {
            Way::ToServer => {
                shared.heard.lock().unwrap().extend_from_slice(&bytes[..share]);
                &shared.to_server
            }
            Way::ToClient => &shared.to_client,
        };
        counter.fetch_add(share as u64, Ordering::SeqCst);
        if to.write_all(&bytes[..share]).is_err() {
            break;
        }
        match trouble {
            Trouble::CutAfter(n) if passed == n => break,
            Trouble::StallAfter(n) if passed == n => {
                // Takes and drops what comes, until the peer gives up.
                while queue.recv().is_ok() {}
                break;
            }
            _ => {}
        }
    }
    let cuts = matches!(trouble, Trouble::CutAfter(_) | Trouble::StallAfter(_));
    let _ = to.shutdown(if cuts { Shutdown::Both } else { Shutdown::Write });
    if cuts {
        let _ = from.shutdown(Shutdown::Both);
    }
}
