use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A name server that says the same of every name.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    answer: watch::Sender<Answer>,
    asked: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

/// What a [`NameServer`] says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// These addresses, which are good for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// That there is no such name.
    NoSuchName,
    /// That it cannot tell.
    Failure,
}

impl NameServer {
    /// A server that answers so.
    pub async fn saying(answer: Answer) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (answer, answers) = watch::channel(answer);
        let asked = Arc::new(Mutex::new(0));
        let count = asked.clone();
        let task = tokio::spawn(async move {
            let mut query = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                *count.lock().unwrap() += 1;
                let reply = reply(&query[..length], &answers.borrow());
                socket.send_to(&reply, from).await.unwrap();
            }
        });
        Self { address, answer, asked, task }
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers so from now on.
    pub fn say(&self, answer: Answer) {
        self.answer.send_replace(answer);
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer to a query (RFC 1035 §4.1): its header, its question, and the addresses of the kind it asks for.
fn reply(query: &[u8], answer: &Answer) -> Vec<u8> {
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
    let question = &query[12..12 + name + 5];
    let is_ipv4 = question[name + 2] == 1;
    let (addresses, ttl, code) = match answer {
        Answer::Addresses(addresses, ttl) => (addresses.as_slice(), *ttl, 0),
        Answer::NoSuchName => (&[][..], 0, 3),
        Answer::Failure => (&[][..], 0, 2),
    };
    let records: Vec<_> = addresses.iter().filter(|one| one.is_ipv4() == is_ipv4).collect();
    let count = u8::try_from(records.len()).unwrap();
    let mut reply = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
    reply.extend(question);
    for address in records {
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        // The name of the question, the kind, and the class.
        reply.extend([0xc0, 12, 0, question[name + 2], 0, 1]);
        reply.extend(ttl.to_be_bytes());
        reply.extend([0, u8::try_from(bytes.len()).unwrap()]);
        reply.extend(bytes);
    }
    reply
}
