//! The lab's own servers and clients against each other, on loopback.

use super::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn servers() -> MailServers {
    let any = Some(SocketAddr::new(LOOPBACK, 0));
    MailServers::start(&MailSetup {
        dnd: any,
        blitzmail: any,
        pop3: any,
        bulletins: any,
        notify: any,
        account: MailAccount::default(),
    })
    .unwrap()
}

fn gateway(cipher: GatewayCipher) -> Gateway {
    Gateway::start(&GatewayOptions {
        listen: SocketAddr::new(LOOPBACK, 0),
        user: "jsmith".to_owned(),
        password: "sleigh-bells".to_owned(),
        names: BTreeMap::from([("dnd.dartmouth.edu".to_owned(), LOOPBACK)]),
        cipher,
        key_seed: [7; 32],
    })
    .unwrap()
}

#[test]
fn the_mail_user_reads_mail_from_every_server() {
    let (servers, user) = (servers(), MailUser::default());
    let values = user.look_up(servers.address("dnd").unwrap()).unwrap();
    assert_eq!(values[0], "John Smith");
    user.read_blitzmail(servers.address("blitzmail").unwrap()).unwrap();
    user.read_pop3(servers.address("pop3").unwrap()).unwrap();
    user.read_bulletins(servers.address("bulletins").unwrap()).unwrap();
    user.register_notify(servers.address("notify").unwrap()).unwrap();
}

#[test]
fn a_forward_of_the_gateway_reaches_a_server_with_a_real_cipher_and_with_none() {
    let (servers, user) = (servers(), MailUser::default());
    let dnd = servers.address("dnd").unwrap();
    for cipher in [GatewayCipher::Real, GatewayCipher::None] {
        let gateway = gateway(cipher);
        let mouth = SocketAddr::new(LOOPBACK, 0);
        let targets = [(mouth, "DND.Dartmouth.EDU.".to_owned(), dnd.port())];
        let client =
            PlainClient::connect(gateway.address(), "jsmith", "sleigh-bells", cipher, &targets)
                .unwrap();
        assert_eq!(user.look_up(client.mouths()[0]).unwrap().len(), 5);
    }
}

#[test]
fn the_gateway_refuses_a_wrong_password() {
    let gateway = gateway(GatewayCipher::Real);
    let refused =
        PlainClient::connect(gateway.address(), "jsmith", "wrong", GatewayCipher::Real, &[]);
    assert!(matches!(refused, Err(LabError::Ssh { side: "client", .. })));
}
