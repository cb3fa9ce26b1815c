//! A session and the answers of its two ends: the order of a transfer, second tries, and answers to
//! questions that nobody asked.

use super::*;

/// A source of one image that answers a transfer like this.
fn source(
    transfer: impl Fn(&Request) -> Reply + Send + 'static,
) -> impl Fn(&Request) -> Reply + Send + 'static {
    move |request| match request {
        Request::Open(_) => opened("docker"),
        Request::List { .. } => list(image(ListedConfig::Id)),
        other => transfer(other),
    }
}

fn failed(kind: FailureKind) -> Reply {
    Reply::Failed(Failure { kind, causes: vec!["why".into()] })
}

/// A pull from a source by a target that answers each transfer by the next of these, and all that the target was
/// asked to take.
fn pull(answers: Vec<Reply>) -> (Result<Outcome, Error>, Vec<Receive>, Vec<String>) {
    let answers = Mutex::new(answers.into_iter());
    let (local, heard) = end(move |request| match request {
        Request::Receive(_) => answers.lock().unwrap().next().expect("no more tries"),
        other => target(other),
    });
    let (remote, _) = end(source(|_| sent(Vec::new())));
    let warnings = Arc::new(Warnings::default());
    let told = Arc::clone(&warnings);
    let outcome = with(Direction::Pull, local, remote, told, |session| {
        let report = session.report(&["img:1".into()])?;
        session.sync(&report.entries[0], &["also:1".parse().unwrap()], false)
    });
    let heard = heard.lock().unwrap();
    let receives = heard.iter().filter_map(|request| match request {
        Request::Receive(receive) => Some(receive.clone()),
        _ => None,
    });
    (outcome, receives.collect(), warnings.0.lock().unwrap().clone())
}

#[test]
fn an_image_is_taken_under_its_name_and_the_others_that_were_asked_for() {
    let (outcome, receives, warnings) = pull(vec![received()]);
    assert_eq!(outcome.unwrap().id, ImageId::from_bytes([7; 32]));
    assert_eq!(receives.len(), 1);
    assert_eq!(receives[0].names, ["img:1", "also:1"]);
    assert!(!receives[0].without_basis && !receives[0].dry_run);
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn a_layer_that_came_out_wrong_is_sent_without_a_basis_once() {
    let without_basis =
        |receives: &[Receive]| receives.iter().map(|receive| receive.without_basis).collect::<Vec<_>>();
    let (outcome, receives, warnings) = pull(vec![failed(FailureKind::Mismatch), received()]);
    assert!(outcome.is_ok());
    assert_eq!(without_basis(&receives), [false, true]);
    assert_eq!(
        warnings,
        ["a layer could not be rebuilt from what both sides have; sending the layers again without a basis"]
    );
    assert_ne!(receives[0].key, receives[1].key, "each try has a key of its own");

    let (outcome, receives, warnings) = pull(vec![failed(FailureKind::Mismatch); 2]);
    assert_eq!(kind(outcome), Some(FailureKind::Mismatch));
    assert_eq!((without_basis(&receives), warnings.len()), (vec![false, true], 1));
}

#[test]
fn where_the_target_changed_meanwhile_it_is_tried_three_times_more() {
    let (outcome, receives, warnings) = pull(vec![failed(FailureKind::Changed), received()]);
    assert!(outcome.is_ok());
    assert!(receives.len() == 2 && receives.iter().all(|receive| !receive.without_basis));
    assert_eq!(warnings, ["an image was removed from the target meanwhile; once more"]);
    let (outcome, receives, warnings) = pull(vec![failed(FailureKind::Changed); 4]);
    assert_eq!((kind(outcome), receives.len(), warnings.len()), (Some(FailureKind::Changed), 4, 3));
}

#[test]
fn other_failures_are_not_tried_again() {
    for failure in [FailureKind::AnotherImage, FailureKind::Broken, FailureKind::Usage, FailureKind::Other] {
        let (outcome, receives, warnings) = pull(vec![failed(failure)]);
        assert_eq!((kind(outcome), receives.len(), warnings.len()), (Some(failure), 1, 0));
    }
}

#[test]
fn an_image_of_another_id_than_the_sources_is_refused() {
    let other = Received { id: [9; 32], layers: Vec::new(), was_there: false, packed_again: 0 };
    let (outcome, ..) = pull(vec![Reply::Received(other)]);
    assert_eq!(kind(outcome), Some(FailureKind::AnotherImage));
}

#[test]
fn a_dry_run_is_one_for_both_ends() {
    let (local, at_target) = end(target);
    let (remote, at_source) = end(source(|_| sent(Vec::new())));
    with(Direction::Pull, local, remote, Arc::new(()), |session| {
        let report = session.report(&[])?;
        session.sync(&report.entries[0], &[], true)
    })
    .unwrap();
    let dry = |heard: &Heard| {
        let heard = heard.lock().unwrap();
        let of = heard.iter().filter_map(|request| match request {
            Request::Receive(receive) => Some((receive.dry_run, receive.key)),
            Request::Send { dry_run, key, .. } => Some((*dry_run, *key)),
            _ => None,
        });
        of.collect::<Vec<_>>()
    };
    let (at_source, at_target) = (dry(&at_source), dry(&at_target));
    assert_eq!(at_source, at_target, "both have the same key");
    assert!(matches!(at_source[..], [(true, _)]));
}

#[test]
fn an_end_that_gives_up_before_the_other_failed_breaks_the_protocol() {
    let (outcome, ..) = pull(vec![failed(FailureKind::Aborted)]);
    let Err(Error::Protocol { what, .. }) = outcome else { panic!("{outcome:?}") };
    assert!(what.contains("done before it is"), "{what}");
}

/// The question whose answer is said to be missing, of a pull whose ends answer one request by another's reply.
#[track_caller]
fn expected(
    wrong: impl Fn(&Request) -> Option<Reply> + Clone + Send + 'static,
    verify: bool,
) -> &'static str {
    let at_target = wrong.clone();
    let (local, _) = end(move |request| at_target(request).unwrap_or_else(|| target(request)));
    let right = source(|_| sent(Vec::new()));
    let (remote, _) = end(move |request| wrong(request).unwrap_or_else(|| right(request)));
    let result = with(Direction::Pull, local, remote, Arc::new(()), |session| {
        let report = session.report(&[])?;
        if verify {
            return session.verify(&report.entries[0], &[]).map(drop);
        }
        session.sync(&report.entries[0], &[], false).map(drop)
    });
    match result {
        Err(Error::OutOfTurn { expected, .. }) => expected,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_to_another_question_is_refused_by_its_name() {
    let store = |request: &Request| matches!(request, Request::Open(_)).then(received);
    assert_eq!(expected(store, false), "a store");
    let listed = |request: &Request| matches!(request, Request::List { .. }).then(received);
    assert_eq!(expected(listed, false), "a list of images");
    let surveyed = |request: &Request| matches!(request, Request::Survey { .. }).then(received);
    assert_eq!(expected(surveyed, false), "a survey of every image");
    let none =
        |request: &Request| matches!(request, Request::Survey { .. }).then(|| Reply::Surveyed(Vec::new()));
    assert_eq!(expected(none, false), "a survey of every image");
    let account = |request: &Request| matches!(request, Request::Send { .. }).then(received);
    assert_eq!(expected(account, false), "an account");
    let image = |request: &Request| matches!(request, Request::Receive(_)).then(|| sent(Vec::new()));
    assert_eq!(expected(image, false), "an image");
    let proof = |request: &Request| matches!(request, Request::Verify { .. }).then(received);
    assert_eq!(expected(proof, true), "a proof");
}

#[test]
fn a_survey_is_one_of_every_layer_and_name() {
    let of = |status: usize, layers: usize, holders: usize| {
        let survey = Survey {
            status: vec![Status::New; status],
            layers: vec![LayerState::Missing; layers],
            basis: Vec::new(),
            open: false,
            holders: vec![None; holders],
            foreign_to: String::new(),
        };
        move |request: &Request| {
            matches!(request, Request::Survey { .. }).then(|| Reply::Surveyed(vec![survey.clone()]))
        }
    };
    for (status, layers, holders) in [(0, 1, 1), (2, 1, 1), (1, 0, 1), (1, 2, 1)] {
        assert_eq!(expected(of(status, layers, holders), false), "a survey of every layer");
    }
}

#[test]
fn configs_are_asked_for_where_the_target_has_an_image_that_looks_alike() {
    let surveys = Arc::new(Mutex::new(0));
    let count = Arc::clone(&surveys);
    let (local, heard) = end(move |request| match request {
        Request::Survey { images, .. } => {
            *count.lock().unwrap() += 1;
            let is_known = images[0].config != ListedConfig::Unknown;
            let Reply::Surveyed(mut all) = survey(!is_known) else { unreachable!("it is made above") };
            all[0].status = vec![if is_known { Status::Current } else { Status::New }];
            Reply::Surveyed(all)
        }
        other => target(other),
    });
    let (remote, at_source) = end(|request| match request {
        Request::Open(_) => opened("docker"),
        Request::List { .. } => list(image(ListedConfig::Unknown)),
        Request::Configs { images } => Reply::Configs(images.iter().map(|id| Some(*id)).collect()),
        _ => sent(Vec::new()),
    });
    let report = with(Direction::Pull, local, remote, Arc::new(()), |session| session.report(&[])).unwrap();
    assert_eq!(report.entries[0].status, Status::Current, "the second answer counts");
    assert_eq!((*surveys.lock().unwrap(), heard.lock().unwrap().len()), (2, 3));
    let asked = at_source.lock().unwrap().iter().filter(|r| matches!(r, Request::Configs { .. })).count();
    assert_eq!(asked, 1);
}

#[test]
fn each_image_has_as_many_configs_as_were_asked_for() {
    for configs in [Vec::new(), vec![Some([7; 32]); 2]] {
        let (outcome, receives) = pulled(move |request| match request {
            Request::Open(_) => opened("docker"),
            Request::List { .. } => list(image(ListedConfig::Unknown)),
            Request::Configs { .. } => Reply::Configs(configs.clone()),
            _ => sent(Vec::new()),
        });
        assert!(
            matches!(outcome, Err(Error::OutOfTurn { expected: "the digests of configs", .. })),
            "{outcome:?}"
        );
        assert_eq!(receives, 0);
    }
    let (outcome, receives) = pulled(|request| match request {
        Request::Open(_) => opened("docker"),
        Request::List { .. } => list(image(ListedConfig::Unknown)),
        Request::Configs { .. } => Reply::Configs(vec![None]),
        _ => sent(Vec::new()),
    });
    assert_eq!((kind(outcome), receives), (Some(FailureKind::Broken), 0), "it tells none");
}

#[test]
fn a_verification_is_of_all_names_and_counts_bytes() {
    let (local, heard) = end(|request| match request {
        Request::Verify { .. } => Reply::Verified { bytes: 4321 },
        other => target(other),
    });
    let (remote, _) = end(source(|_| sent(Vec::new())));
    let bytes = with(Direction::Pull, local, remote, Arc::new(()), |session| {
        let report = session.report(&["img:1".into()])?;
        session.verify(&report.entries[0], &["also:1".parse().unwrap()])
    });
    assert_eq!(bytes.unwrap(), 4321);
    let heard = heard.lock().unwrap();
    let asked = heard.iter().find_map(|request| match request {
        Request::Verify { image } => Some(image.names.clone()),
        _ => None,
    });
    assert_eq!(asked.unwrap(), ["img:1", "also:1"]);
}

#[test]
fn a_remote_that_is_gone_is_lost() {
    let (local, _) = end(target);
    let (link, other) = Link::pair(&Interrupt::default());
    drop(other);
    let remote = Local { link, served: Served::default() };
    let result = with(Direction::Pull, local, remote, Arc::new(()), |_| Ok(()));
    assert!(matches!(&result, Err(Error::Lost { host, .. }) if host.contains("elsewhere")), "{result:?}");
}

#[test]
fn something_out_of_turn_is_the_remotes_fault_by_name() {
    let (local, _) = end(target);
    let (link, mut other) = Link::pair(&Interrupt::default());
    let serving = thread::spawn(move || {
        other.next_request()?;
        other.send_peer(&dsync_proto::Peer::Abort)?;
        while other.next_request().is_ok() {}
        Ok(())
    });
    let remote = Local { link, served: Served::by(serving) };
    let result = with(Direction::Pull, local, remote, Arc::new(()), |_| Ok(()));
    let Err(Error::Protocol { end, what }) = result else { panic!("{result:?}") };
    assert!(end.contains("elsewhere") && what.contains("out of turn"), "{end}: {what}");
}
