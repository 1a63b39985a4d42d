//! The asking side of conversations.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::UnixStream;

use super::{Admin, Answer, LINE_BYTES_MAX, Request, SOCKET};
use crate::configuration::Configuration;
use crate::stores;

/// Bytes between both sides when they are in one process.
const PIPE_BYTES: usize = 64 * 1024;

/// Whoever has the store; each thing that is asked is a conversation of its own.
pub(crate) enum Access {
    /// A server, by its socket.
    Server(PathBuf),
    /// This process.
    Here(Arc<Admin>),
}

/// A conversation under way: answers are read until the last.
pub(crate) struct Conversation {
    reader: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    line: Vec<u8>,
}

/// What comes next in a conversation.
pub(crate) enum Next {
    Answer(Answer),
    /// Nothing more; what was done, in words.
    Done(String),
}

impl Access {
    /// Reaches the server that runs on this configuration's data, else opens the store.
    pub(crate) async fn open(configuration: &Configuration) -> anyhow::Result<Access> {
        let socket = configuration.server.data.join(SOCKET);
        if UnixStream::connect(&socket).await.is_ok() {
            return Ok(Self::Server(socket));
        }
        let store = stores::open(configuration).await?;
        Ok(Self::to(Admin::new(configuration, store, None)))
    }

    /// Talks to an administration of this process.
    pub(crate) fn to(admin: Admin) -> Access {
        Self::Here(Arc::new(admin))
    }

    /// Asks for something that needs no more than that.
    pub(crate) async fn begin(&self, request: &Request) -> anyhow::Result<Conversation> {
        let mut conversation = self.say(request).await?;
        conversation.writer.shutdown().await?;
        Ok(conversation)
    }

    /// Asks, and hands each answer to `seen` until the last; returns what was done, in words.
    pub(crate) async fn ask(
        &self,
        request: &Request,
        seen: impl FnMut(Answer) -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        self.begin(request).await?.finish(seen).await
    }

    /// Asks for an import and gives it the lines of `source`, while answers are handed to `seen`.
    pub(crate) async fn import(
        &self,
        mut source: impl AsyncRead + Unpin + Send + 'static,
        seen: impl FnMut(Answer) -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        let mut conversation = self.say(&Request::Import).await?;
        let mut writer = std::mem::replace(&mut conversation.writer, Box::new(tokio::io::sink()));
        let sent = tokio::spawn(async move {
            tokio::io::copy(&mut source, &mut writer).await?;
            writer.shutdown().await
        });
        let done = conversation.finish(seen).await;
        sent.abort();
        done
    }

    async fn say(&self, request: &Request) -> anyhow::Result<Conversation> {
        let mut conversation = match self {
            Self::Server(socket) => {
                Conversation::over(UnixStream::connect(socket).await.context("the server is gone")?)
            }
            Self::Here(admin) => {
                let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
                let admin = admin.clone();
                tokio::spawn(async move { admin.converse(theirs).await });
                Conversation::over(ours)
            }
        };
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        conversation.writer.write_all(&line).await?;
        Ok(conversation)
    }
}

impl Conversation {
    fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader: BufReader::new(Box::new(reader)), writer: Box::new(writer), line: Vec::new() }
    }

    /// The next answer. What was refused is an error.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Next> {
        self.line.clear();
        (&mut self.reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line).await?;
        if self.line.is_empty() {
            bail!("the server closed the conversation: its log says why");
        }
        Ok(match serde_json::from_slice(&self.line).context("the server is of another version")? {
            Answer::Done(told) => Next::Done(told),
            Answer::Refused(reason) => bail!(reason),
            answer => Next::Answer(answer),
        })
    }

    async fn finish(mut self, mut seen: impl FnMut(Answer) -> anyhow::Result<()>) -> anyhow::Result<String> {
        loop {
            match self.next().await? {
                Next::Answer(answer) => seen(answer)?,
                Next::Done(told) => return Ok(told),
            }
        }
    }
}
