//! A scripted IMAP server: says what real servers don't, word for word.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Serves every connection with the same script until dropped.
pub struct Scripted {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    alive: Arc<()>,
}

/// One connection as the script sees it.
pub struct Conversation {
    reader: BufReader<TcpStream>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Runs `script` once a connection; the connection ends when it returns.
    pub fn start(script: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let alive = Arc::new(());
        let (watch, ears, script) = (Arc::downgrade(&alive), heard.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if watch.upgrade().is_none() {
                    return;
                }
                let (ears, script) = (ears.clone(), script.clone());
                std::thread::spawn(move || {
                    script(&mut Conversation { reader: BufReader::new(stream), heard: ears });
                });
            }
        });
        Scripted { port, heard, alive }
    }

    /// Greets, lets everybody in, and answers each command (in capitals, without its tag) with `reply`'s untagged
    /// lines and its last word; `None` means `OK`.
    pub fn answering(
        capability: &'static str,
        reply: impl Fn(&str) -> Option<(Vec<String>, String)> + Send + Sync + 'static,
    ) -> Scripted {
        Scripted::start(move |peer| {
            peer.say(&format!("* OK [CAPABILITY {capability}] ready"));
            while let Some((tag, command)) = peer.command() {
                let verb = command.split(' ').next().unwrap_or_default().to_ascii_uppercase();
                let (lines, last) = reply(&command.to_ascii_uppercase()).unwrap_or_else(|| match verb.as_str() {
                    "CAPABILITY" => (vec![format!("* CAPABILITY {capability}")], "OK done".into()),
                    "LOGOUT" => (vec!["* BYE".into()], "OK bye".into()),
                    _ => (Vec::new(), "OK done".into()),
                });
                lines.iter().for_each(|l| peer.say(l));
                peer.say(&format!("{tag} {last}"));
                if verb == "LOGOUT" {
                    return;
                }
            }
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every command so far, without tags.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.alive = Arc::new(());
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Conversation {
    /// Sends a line; a peer that has gone is not the script's worry.
    pub fn say(&mut self, line: &str) {
        self.say_raw(format!("{line}\r\n").as_bytes());
    }

    pub fn say_raw(&mut self, bytes: &[u8]) {
        let _ = self.reader.get_mut().write_all(bytes);
    }

    /// The next command as (tag, rest), its literals included in the rest; `None` when the peer has gone.
    pub fn command(&mut self) -> Option<(String, String)> {
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            if self.reader.read_until(b'\n', &mut line).ok()? == 0 {
                return None;
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            text.push_str(&line);
            let Some((_, size)) = line.strip_suffix('}').and_then(|l| l.rsplit_once('{')) else { break };
            if !size.ends_with('+') {
                self.say("+ go ahead");
            }
            let mut literal = vec![0; size.trim_end_matches('+').parse().ok()?];
            self.reader.read_exact(&mut literal).ok()?;
            text.push_str(&String::from_utf8_lossy(&literal));
        }
        let (tag, rest) = text.split_once(' ').unwrap_or((&text, ""));
        self.heard.lock().unwrap().push(rest.to_owned());
        Some((tag.to_owned(), rest.to_owned()))
    }

    /// Says nothing and waits until the peer has gone.
    pub fn listen_in_silence(&mut self) {
        let mut sink = [0; 1024];
        while matches!(self.reader.read(&mut sink), Ok(1..)) {}
    }
}
