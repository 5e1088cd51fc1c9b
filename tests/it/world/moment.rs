//! A loopback proxy that lets something happen at one moment of a session: after the server has answered all that came
//! before a certain command, and before it hears that command.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What happens at the moment; it happens once.
type Event = Box<dyn FnOnce() + Send>;
/// Whether it is time for it: a line's number, from 0 over all connections, and its words.
type IsTime = Box<dyn Fn(usize, &str) -> bool + Send + Sync>;

/// Listens until dropped.
pub struct Moment {
    port: u16,
    shared: Option<Arc<Shared>>,
}

struct Shared {
    event: Mutex<Option<Event>>,
    is_time: IsTime,
    lines: AtomicUsize,
}

impl Moment {
    /// Lets `event` happen before the server hears the first line that holds `command`.
    pub fn before(command: &'static str, server_port: u16, event: impl FnOnce() + Send + 'static) -> Moment {
        Moment::when(move |_, line| line.contains(command), server_port, event)
    }

    /// Lets `event` happen before the server hears line `number`, counted from 0, unless the client says goodbye with
    /// it: whoever does so does not wait, and what happens then happens at no certain time.
    pub fn at(number: usize, server_port: u16, event: impl FnOnce() + Send + 'static) -> Moment {
        Moment::when(move |n, line| n == number && !line.contains("LOGOUT"), server_port, event)
    }

    fn when(
        is_time: impl Fn(usize, &str) -> bool + Send + Sync + 'static,
        server_port: u16,
        event: impl FnOnce() + Send + 'static,
    ) -> Moment {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (event, is_time): (Event, IsTime) = (Box::new(event), Box::new(is_time));
        let shared = Arc::new(Shared { event: Mutex::new(Some(event)), is_time, lines: AtomicUsize::new(0) });
        let watch = Arc::downgrade(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Some(shared) = watch.upgrade() else { return };
                let server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
                let answers = Arc::new(Answers::default());
                let (from, to, heard) = (server.try_clone().unwrap(), client.try_clone().unwrap(), answers.clone());
                std::thread::spawn(move || pass_down(from, to, &heard));
                std::thread::spawn(move || pass_up(client, server, &answers, &shared));
            }
        });
        Moment { port, shared: Some(shared) }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.event.lock().unwrap().is_none())
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        // Wakes the listener, which finds nobody to serve any more.
        drop(self.shared.take());
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// The tag of the last command that was answered.
#[derive(Default)]
struct Answers {
    last: Mutex<Vec<u8>>,
    heard: Condvar,
}

impl Answers {
    fn wait_for(&self, tag: &[u8]) {
        let last = self.last.lock().unwrap();
        let waited = self.heard.wait_timeout_while(last, Duration::from_secs(30), |last| last != tag).unwrap();
        assert!(!waited.1.timed_out(), "no answer to {}", String::from_utf8_lossy(tag));
    }
}

fn first_word(line: &[u8]) -> Vec<u8> {
    line.split(|b| *b == b' ').next().unwrap_or_default().to_vec()
}

fn pass_up(client: TcpStream, mut server: TcpStream, answers: &Answers, shared: &Shared) {
    let (mut reader, mut line, mut last) = (BufReader::new(client), Vec::new(), None);
    while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
        let number = shared.lines.fetch_add(1, Ordering::SeqCst);
        if (shared.is_time)(number, &String::from_utf8_lossy(&line)) {
            let event = shared.event.lock().unwrap().take();
            if let Some(event) = event {
                last.iter().for_each(|tag: &Vec<u8>| answers.wait_for(tag));
                event();
            }
        }
        last = Some(first_word(&line));
        if server.write_all(&line).is_err() {
            break;
        }
        line.clear();
    }
    let _ = server.shutdown(Shutdown::Write);
}

fn pass_down(server: TcpStream, mut client: TcpStream, answers: &Answers) {
    let (mut reader, mut line) = (BufReader::new(server), Vec::new());
    while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
        *answers.last.lock().unwrap() = first_word(&line);
        answers.heard.notify_all();
        if client.write_all(&line).is_err() {
            break;
        }
        line.clear();
    }
    let _ = client.shutdown(Shutdown::Write);
}
