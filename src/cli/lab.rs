//! `tunnelcheck lab`: servers and clients that the tests set up in namespaces of their own. Hidden from the help.

use super::args::LabPart;
use super::exit::Exit;
use super::output::deliver_line;
use crate::lab::{
    Gateway, GatewayCipher, GatewayOptions, MailAccount, MailServers, MailSetup, MailUser,
    NameServer, PlainClient, World,
};
use anyhow::Context as _;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

/// Plays one part of the lab.
pub(super) fn lab(part: &LabPart) -> anyhow::Result<Exit> {
    match part {
        LabPart::MailServers { at, without_pop3 } => {
            let on = |port| Some(SocketAddr::new(*at, port));
            let _servers = MailServers::start(&MailSetup {
                dnd: on(902),
                blitzmail: on(2151),
                pop3: if *without_pop3 { None } else { on(110) },
                bulletins: on(1119),
                notify: on(2154),
                account: MailAccount::default(),
            })?;
            serve()?;
        }
        LabPart::Gateway { at, plain, names } => {
            let _gateway = Gateway::start(&GatewayOptions {
                listen: *at,
                user: World::USER.to_owned(),
                password: World::PASSWORD.to_owned(),
                names: names.iter().cloned().collect(),
                cipher: cipher(*plain),
                key_seed: [1; 32],
            })?;
            serve()?;
        }
        LabPart::PlainClient { gateway, plain, forwards } => {
            let _client = PlainClient::connect(
                *gateway,
                World::USER,
                World::PASSWORD,
                cipher(*plain),
                forwards,
            )?;
            serve()?;
        }
        LabPart::NameServer { at, names } => {
            let _server = NameServer::start(*at, names.clone())?;
            serve()?;
        }
        LabPart::User { steps } => {
            for step in steps {
                take(step)?;
            }
        }
    }
    Ok(Exit::Pass)
}

fn cipher(plain: bool) -> GatewayCipher {
    if plain { GatewayCipher::None } else { GatewayCipher::Real }
}

/// Says that the servers listen, and waits until nobody needs them any more.
fn serve() -> anyhow::Result<()> {
    deliver_line("ready")?;
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).context("cannot read standard input")?;
    Ok(())
}

/// One step of the mail user: `dnd@10.77.1.30:902`.
fn take(step: &str) -> anyhow::Result<()> {
    let (what, whom) = step.split_once('@').with_context(|| format!("{step:?} has no @"))?;
    if what == "wait" {
        std::thread::sleep(Duration::from_millis(whom.parse()?));
        return Ok(());
    }
    let user = MailUser::default();
    let address: SocketAddr =
        whom.parse().with_context(|| format!("{whom:?} is no address and port"))?;
    match what {
        "dnd" => user.look_up(address).map(|_| ())?,
        "blitzmail" => user.read_blitzmail(address)?,
        "pop3" => user.read_pop3(address)?,
        "bulletins" => user.read_bulletins(address)?,
        "notify" => user.register_notify(address)?,
        other => anyhow::bail!("no step {other:?}"),
    }
    Ok(())
}
