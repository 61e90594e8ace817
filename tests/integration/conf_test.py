"""set, get, unset, multiset, conf."""

import json
import subprocess
import unittest

from harness import BIN, TendTest, mode


class Conf(TendTest):
    def file(self):
        return json.loads((self.tend.home / "module_conf.json").read_text())

    def test_what_is_set_is_got_privately_and_without_a_daemon(self):
        self.assertEqual(self.tend.ok("set", "shop:colour", "deep", "blue").stdout, "shop:colour is deep blue\n")
        self.tend.ok("set", "shop.size", "4")
        self.tend.ok("set", "plain", "x")
        self.assertEqual(self.file(), {"shop": {"colour": "deep blue", "size": "4"}, "plain": "x"})
        self.assertEqual(mode(self.tend.home / "module_conf.json"), 0o600)
        self.assertEqual(self.tend.ok("get", "shop:colour").stdout, "deep blue\n")
        self.assertEqual(self.tend.ok("get").stdout, "tend set shop:colour deep blue\ntend set shop:size 4\ntend set plain x\n")
        self.assertEqual(json.loads(self.tend.ok("conf", "--json").stdout), self.file())
        self.tend.ok("unset", "shop:size")
        self.assertEqual(self.tend.ok("config", "shop").stdout, "tend set shop:colour deep blue\n")
        self.assertEqual(self.tend.run("get", "shop:size").returncode, 1)
        self.tend.ok("unset", "all")
        self.assertEqual(self.file(), {})

    def test_several_are_set_at_once_or_none(self):
        self.tend.ok("multiset", "shop:a 1 shop:b 'two words' shop:c \"\"")
        self.assertEqual(self.file(), {"shop": {"a": "1", "b": "two words", "c": ""}})
        done = self.tend.run("multiset", "shop:a 2 shop::b 3")
        self.assertEqual((done.returncode, 'found "shop::b"' in done.stderr), (2, True))
        self.assertEqual(self.tend.run("multiset", "shop:a 2 shop:b").returncode, 2)
        self.assertEqual(self.file()["shop"]["a"], "1")

    def test_a_file_that_is_no_json_is_named_and_left_alone(self):
        self.tend.home.mkdir()
        path = self.tend.home / "module_conf.json"
        path.write_text('{"a": ')
        done = self.tend.run("set", "a:b", "1")
        self.assertEqual((done.returncode, str(path) in done.stderr), (1, True))
        self.assertEqual(path.read_text(), '{"a": ')

    def test_an_app_of_that_name_is_restarted(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "shop")
        self.tend.ok("set", "shop:colour", "blue")
        self.assertEqual(self.tend.app("shop")["pm2_env"]["restart_time"], 1)
        self.tend.ok("set", "other:colour", "blue")
        self.assertEqual(self.tend.app("shop")["pm2_env"]["restart_time"], 1)

    def test_without_words_the_editor_gets_the_file(self):
        editor = self.tend.script("my editor.sh", '#!/bin/sh\necho \'{"shop": {"a": "edited"}}\' >"$2"\n')
        self.tend.ok("set", env={"VISUAL": f"'{editor}' --wait"})
        self.assertEqual(self.tend.ok("get", "shop:a").stdout, "edited\n")


class AsPm2(TendTest):
    def test_words_are_pm2s(self):
        link = self.tend.bin / "pm2"
        link.symlink_to(BIN)
        home = self.tend.dir / "pm2"

        def pm2(*words):
            done = subprocess.run([link, *words], env={**self.tend.env, "PM2_HOME": str(home)}, capture_output=True, text=True)
            return done.returncode, done.stdout
        self.assertEqual(pm2("set", "shop:colour", "blue"),
                         (0, "[PM2] Setting changed\nModule: shop\n$ pm2 set shop:colour blue\n"))
        self.assertEqual(pm2("get", "shop"), (0, "Module: shop\n$ pm2 set shop:colour blue\n"
                                                 "Modules configuration. Copy/Paste line to edit values.\n"))
        self.assertEqual(pm2("get", "shop:colour"), (0, "Value for module shop key colour: blue\n"))
        self.assertEqual(pm2("get", "nope"), (1, ""))
        self.assertEqual(pm2("multiset", "shop:a 1"), (0, "Module: shop\n$ pm2 set shop:colour blue\n$ pm2 set shop:a 1\n"))
        self.assertEqual(pm2("unset", "shop:a"), (0, "Module: shop\n$ pm2 set shop:colour blue\n"))
        self.assertEqual((home / "module_conf.json").read_text(), '{\n    "shop": {\n        "colour": "blue"\n    }\n}')


if __name__ == "__main__":
    unittest.main()
