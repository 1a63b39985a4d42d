//! The asking side of a conversation.

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::{Admin, Answer, LINE_BYTES_MAX, Request, SOCKET};
use crate::configuration::Configuration;
use crate::stores;

/// Bytes between both sides when they are in one process.
const PIPE_BYTES: usize = 64 * 1024;

type Reader = BufReader<Box<dyn tokio::io::AsyncRead + Send + Unpin>>;
type Writer = Box<dyn tokio::io::AsyncWrite + Send + Unpin>;

/// A conversation with whoever has the store.
pub(crate) struct Access {
    reader: Reader,
    writer: Writer,
}

impl Access {
    /// Reaches the server that runs on this configuration's data, else opens the data.
    pub(crate) async fn open(configuration: &Configuration) -> anyhow::Result<Access> {
        let data = &configuration.server.data;
        if let Ok(socket) = UnixStream::connect(data.join(SOCKET)).await {
            return Ok(Self::over(socket));
        }
        let store = stores::open(configuration).await?;
        Ok(Self::to(Admin::new(configuration, store, None)))
    }

    /// Talks to an administration of this process.
    pub(super) fn to(admin: Admin) -> Access {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        tokio::spawn(async move { admin.converse(theirs).await });
        Self::over(ours)
    }

    fn over(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static) -> Access {
        let (reader, writer) = tokio::io::split(stream);
        Access { reader: BufReader::new(Box::new(reader)), writer: Box::new(writer) }
    }

    /// Asks, and hands each answer to `seen` until the last; returns what was done, in words.
    pub(crate) async fn ask(
        mut self,
        request: &Request,
        mut seen: impl FnMut(Answer) -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        self.say(request).await?;
        self.writer.shutdown().await?;
        answers(self.reader, &mut seen).await
    }

    /// Asks for an import and gives it the lines of `source`, while answers are handed to `seen`.
    pub(crate) async fn import(
        mut self,
        mut source: impl tokio::io::AsyncRead + Unpin + Send + 'static,
        mut seen: impl FnMut(Answer) -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        self.say(&Request::Import).await?;
        let mut writer = self.writer;
        let sent = tokio::spawn(async move {
            tokio::io::copy(&mut source, &mut writer).await?;
            writer.shutdown().await
        });
        let done = answers(self.reader, &mut seen).await;
        sent.abort();
        done
    }

    async fn say(&mut self, request: &Request) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        Ok(self.writer.write_all(&line).await?)
    }
}

async fn answers(
    mut reader: Reader,
    seen: &mut impl FnMut(Answer) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            bail!("the server closed the conversation: its log says why");
        }
        match serde_json::from_slice(&line).context("the server is of another version")? {
            Answer::Done(told) => return Ok(told),
            Answer::Refused(reason) => bail!(reason),
            answer => seen(answer)?,
        }
    }
}
