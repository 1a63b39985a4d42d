//! Two accounts that register, log in and write to each other over one transport:
//! `chat ADDRESS:PORT [tcp|starttls|tls|ws|wss|bosh|boshs] [MECHANISM] [PATH]`.

use std::time::Instant;

use client::{Client, Error, Event, Management, Mechanism, Plan, Tls, Transport, connect, resume};

const MESSAGES: usize = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("ADDRESS:PORT")?.parse()?;
    let transport = match arguments.next().as_deref() {
        Some("starttls") => Transport::Starttls,
        Some("tls") => Transport::Tls,
        Some("ws") => Transport::WebSocket,
        Some("wss") => Transport::WebSocketTls,
        Some("bosh") => Transport::Bosh,
        Some("boshs") => Transport::BoshTls,
        _ => Transport::Tcp,
    };
    let mechanism = arguments.next().and_then(|name| Mechanism::parse(&name)).unwrap_or(Mechanism::Plain);
    let domain = if mechanism == Mechanism::Anonymous { "anon.localhost" } else { "localhost" };
    let mut plan = Plan::new(address, domain, "tl-chat-1", "secret");
    plan.transport = transport;
    plan.mechanism = mechanism;
    plan.register = mechanism != Mechanism::Anonymous;
    plan.tls = Some(Tls::insecure()?);
    plan.management = (!matches!(transport, Transport::Bosh | Transport::BoshTls)).then(Management::default);
    plan.path = arguments.next().as_deref().unwrap_or("/ws").into();
    let mut romeo = connect(&plan).await?;
    "tl-chat-2".clone_into(&mut plan.username);
    let mut juliet = connect(&plan).await?;
    println!("{} {} {:?}", romeo.jid(), juliet.jid(), juliet.timings());

    let began = Instant::now();
    let (sent, arrived) = tokio::join!(write(&mut romeo, juliet.jid().to_owned()), read(&mut juliet));
    println!("{:?} acknowledged, {} arrived in {:?}", sent?, arrived?, began.elapsed());

    if let Some(mut state) = juliet.abandon() {
        romeo.push(
            format!("<message to='{}' type='chat'><body>meanwhile</body></message>", state.jid()).as_bytes(),
        )?;
        romeo.flush().await?;
        let resumption = resume(&plan, &mut state).await?;
        println!("resumed {}, {} acknowledged", resumption.resumed, resumption.acknowledged);
        juliet = resumption.client;
        loop {
            if let Event::Stanza(stanza) = juliet.next().await?
                && stanza.contains(b"meanwhile")
            {
                break;
            }
        }
        juliet.close().await?;
    } else {
        println!("not to be resumed");
    }
    romeo.close().await?;
    Ok(())
}

async fn write(client: &mut Client, to: String) -> Result<u32, Error> {
    let mut acknowledged = 0;
    for number in 0..MESSAGES {
        client.push(
            format!("<message to='{to}' id='{number}' type='chat'><body>hi &amp; ho</body></message>")
                .as_bytes(),
        )?;
        if number % 10 == 9 {
            client.flush().await?;
        }
    }
    client.request();
    client.flush().await?;
    if !client.is_managed() {
        return Ok(0);
    }
    while client.unacknowledged() > 0 {
        if let Event::Acknowledged(count) = client.next().await? {
            acknowledged += count;
        }
    }
    Ok(acknowledged)
}

async fn read(client: &mut Client) -> Result<usize, Error> {
    let mut arrived = 0;
    while arrived < MESSAGES {
        match client.next().await? {
            Event::Stanza(stanza) if stanza.id() == Some(&arrived.to_string()) => arrived += 1,
            other => println!("{other:?}"),
        }
    }
    Ok(arrived)
}
