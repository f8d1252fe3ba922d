use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Texts and descriptors, in their order, over a pair of sockets.
#[derive(Debug)]
pub(super) struct Link(UnixStream);

impl Link {
    pub(super) const fn new(socket: UnixStream) -> Self {
        Self(socket)
    }

    /// How long the other side is waited for.
    pub(super) fn patience(&self, patience: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(patience))?;
        self.0.set_write_timeout(Some(patience))
    }

    /// Sends a text.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        self.0.write_all(&length.to_be_bytes())?;
        self.0.write_all(text.as_bytes())
    }

    /// Receives a text.
    pub(super) fn hear(&mut self) -> io::Result<String> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let length = u64::from(u32::from_be_bytes(length));
        let mut text = String::new();
        // No more than that: a descriptor would be lost that came with what follows.
        (&self.0).take(length).read_to_string(&mut text)?;
        if text.len() as u64 == length {
            Ok(text)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Sends a descriptor.
    pub(super) fn give(&self, descriptor: &OwnedFd) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut message = SendAncillaryBuffer::new(&mut space);
        let descriptors = [descriptor.as_fd()];
        message.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&self.0, &[IoSlice::new(&[0])], &mut message, SendFlags::empty())?;
        Ok(())
    }

    /// Receives a descriptor.
    pub(super) fn take(&self) -> io::Result<OwnedFd> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut message = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        recvmsg(&self.0, &mut [IoSliceMut::new(&mut byte)], &mut message, RecvFlags::CMSG_CLOEXEC)?;
        let descriptor = message.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        descriptor.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_descriptors_arrive_in_their_order() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut one, mut other) = (Link::new(one), Link::new(other));
        let pipes: Vec<_> = (0..3).map(|_| io::pipe().unwrap()).collect();

        one.say("first").unwrap();
        for (_, writer) in &pipes {
            one.give(&writer.try_clone().unwrap().into()).unwrap();
        }
        one.say("last").unwrap();
        drop(one);

        assert_eq!(other.hear().unwrap(), "first");
        for (mut reader, writer) in pipes {
            let taken = other.take().unwrap();
            drop(writer);
            std::fs::File::from(taken).write_all(b"a").unwrap();
            let mut read = String::new();
            reader.read_to_string(&mut read).unwrap();
            assert_eq!(read, "a");
        }
        assert_eq!(other.hear().unwrap(), "last");
        assert_eq!(other.hear().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(other.take().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
