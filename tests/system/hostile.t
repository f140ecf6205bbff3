#!/usr/bin/env python3
"""Stores written by somebody else, with names that lead out of the directory: nothing is restored, the object is named,
and nothing outside has changed."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.crafted import *
from lib.harness import *

PRECIOUS = "precious"


def restore(scene, store):
    """`restore --to` of the crafted store; the process, and the copy's folder."""
    deployment, copy = scene.deployment(store=store), os.path.join(scene.folder("copies"), "copy")
    return deployment.command("restore", "--to", copy), copy


def listing(scene, *without):
    """What there is in all folders of this test."""
    found = set()
    for path, folders, files in os.walk(scene.root):
        folders[:] = [name for name in folders if os.path.join(path, name) not in without]
        found.update(os.path.join(path, name) for name in files + folders)
    return found


def refused(scene, store, key):
    """By both that write what a store says."""
    process, copy = restore(scene, store)
    deployment = scene.deployment(store=store)
    places = (copy, deployment.data, store.folder)
    before = listing(scene, *places)
    process.expect_exit(65)
    assert process.log.find(key), "the key is not named"
    assert not os.path.exists(copy) or os.listdir(copy) == []
    run = deployment.start(command=["true"], ready=False)
    run.expect_exit(65)
    assert run.log.find(key) and not run.log.find("launched")
    assert set(os.listdir(deployment.data)) <= {".holdfast"}
    after = listing(scene, *places)
    assert after == before, "outside there is %s" % (after ^ before)


@test
def an_honest_store_by_the_same_hand_is_restored(scene):
    store = CraftedStore(scene.folder("crafted"), [directory("a"), empty_file("a/b"), symlink("way", "/nowhere")],
                         sections=[gone("a/none"), put_file("a/c", b"content")])
    process, copy = restore(scene, store)
    process.expect_exit(0)
    assert sorted(os.listdir(copy)) == ["a", "way"] and sorted(os.listdir(os.path.join(copy, "a"))) == ["b", "c"]
    with open(os.path.join(copy, "a", "c"), "rb") as file:
        assert file.read() == b"content"
    assert os.readlink(os.path.join(copy, "way")) == "/nowhere"
    verified = scene.deployment(store=store).command("verify", "--json")
    verified.expect_exit(0)
    assert json.loads(verified.out.text())["sound"] is True


@test
def names_in_a_manifest_that_lead_outside(scene):
    outside = scene.folder("outside")
    for path in ("../escape", os.path.join(outside, "escape"), "a/../../escape", "..", ".holdfast/escape", "a//escape"):
        for make in (empty_file, directory, database, lambda name: symlink(name, outside)):
            made = make(path)
            crafted = {"databases": [made]} if make is database else {"entries": [made]}
            store = CraftedStore(scene.folder("crafted"), **crafted)
            process, copy = restore(scene, store)
            process.expect_exit(65)
            assert process.log.find(store.manifest_key) and not os.path.exists(os.path.join(copy, "..", "escape")), path
        refused(scene, CraftedStore(scene.folder("crafted"), [empty_file(path)]), store.manifest_key)
    assert os.listdir(outside) == []


@test
def names_in_a_manifest_that_lead_through_a_symlink(scene):
    outside = scene.folder("outside")
    for target in (outside, "..", "."):
        for below in (empty_file, directory):
            store = CraftedStore(scene.folder("crafted"), [symlink("way", target), below("way/escape")])
            refused(scene, store, store.manifest_key)
    assert os.listdir(outside) == []


@test
def names_in_a_record_that_lead_outside(scene):
    outside = scene.folder("outside")
    precious = os.path.join(outside, PRECIOUS)
    with open(precious, "w") as file:
        file.write(PRECIOUS)
    for sections in ([put_file("../escape", b"x")], [put_file(os.path.join(outside, "escape"), b"x")],
                     [gone("../" + PRECIOUS)], [gone(precious)], [put(symlink("a/../../escape", outside))]):
        store = CraftedStore(scene.folder("crafted"), [directory("a")], sections=sections)
        refused(scene, store, store.data_key)
    with open(precious) as file:
        assert file.read() == PRECIOUS


@test
def names_in_a_record_that_lead_through_a_symlink(scene):
    outside = scene.folder("outside")
    through = put_file("way/escape", b"x")
    store = CraftedStore(scene.folder("crafted"), [symlink("way", outside)], sections=[through])
    refused(scene, store, store.data_key)
    store = CraftedStore(scene.folder("crafted"), [directory("way")], sections=[put(symlink("way", outside)), through])
    refused(scene, store, store.data_key)
    assert os.listdir(outside) == []


main()
