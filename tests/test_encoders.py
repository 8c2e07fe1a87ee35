import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from lib import encoders, text, weights


def pictures(count, height, width=None, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width or height, 3), np.uint8)


def edit_config(folder, change):
    config = json.loads((folder / weights.CONFIG).read_text())
    change(config)
    (folder / weights.CONFIG).write_text(json.dumps(config))


@pytest.fixture
def broken(tiny_folder, tmp_path):
    """A copy of the tiny model's folder, to be damaged."""
    return shutil.copytree(tiny_folder, tmp_path / "broken")


class TestTokenizer:
    def test_control_tokens_have_the_ids_that_pooling_needs(self, lexicon):
        tokenizer = text.build_tokenizer(lexicon, 500)
        assert tokenizer.pad_token_id == 0
        assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (len(tokenizer) - 2, len(tokenizer) - 1)
        assert tokenizer.unk_token is None

    def test_words_of_the_texts_are_single_tokens_in_any_case_and_after_any_sign(self, lexicon):
        tokenizer = text.build_tokenizer(lexicon, 500)
        assert tokenizer.tokenize('A Cup, "umbrella"') == ["Ġa", "Ġcup", "Ġ", ",", "Ġ", '"', "Ġumbrella", "Ġ", '"']

    def test_any_text_survives_the_way_there_and_back(self, tiny_encoder):
        for sentence in ("naïve 日本 \U0001f600", "zyx x_3 42", "ß\u0301 ελ", ""):
            ids = tiny_encoder.tokenizer([sentence], context_length=60)[0]
            back = tiny_encoder.tokenizer.tokenizer.decode(ids, skip_special_tokens=True)
            assert "".join(back.split()) == "".join(sentence.split())

    def test_long_texts_keep_the_end_token_and_short_ones_are_padded_with_zero(self, tiny_encoder):
        end = len(tiny_encoder.tokenizer.tokenizer) - 1
        short, long = tiny_encoder.tokenizer(["red cup", "red cup " * 40])
        assert short.tolist()[3:] == [end] + [0] * 8
        assert long[-1] == end and (long[:-1] != end).all() and len(long) == 12

    def test_control_tokens_in_a_text_are_spelt_out(self, tiny_encoder):
        rows = tiny_encoder.tokenizer(["a <|endoftext|> cup", "<|pad|> cup"], context_length=40)
        end = len(tiny_encoder.tokenizer.tokenizer) - 1
        assert ((rows == end).sum(dim=1) == 1).all()
        assert (rows.argmax(dim=1) > 5).all()

    def test_same_texts_give_the_same_file(self, lexicon):
        files = {text.build_tokenizer(iter(lexicon), 400).backend_tokenizer.to_str() for _ in range(3)}
        assert len(files) == 1

    def test_too_small_a_vocabulary_is_refused(self):
        with pytest.raises(ValueError, match="259"):
            text.build_tokenizer(["a"], 200)


class TestLoad:
    def test_everything_comes_together(self, tiny_encoder):
        e = tiny_encoder
        assert (e.name, e.dim, e.image_size, e.context, e.licence) == ("tiny", 32, 16, 12, "Apache-2.0")
        assert e.scale == pytest.approx(1 / 0.07, rel=1e-5)
        assert e.frozen and not e.model.training and str(e.device) == "cpu"
        assert e.identity.startswith("tiny@") and len(e.identity) == len("tiny@") + 12
        assert len(e.model.visual.transformer.resblocks) == 2 and e.model.positional_embedding.shape == (12, 32)

    def test_default_of_the_small_config_is_vit_base(self):
        config = encoders.small_config(2560)
        model = encoders.create(config, 0)
        assert model.visual.grid_size == (8, 8) and model.visual.transformer.resblocks[0].attn.num_heads == 4
        assert len(model.transformer.resblocks) == 3 and model.positional_embedding.shape == (32, 128)
        assert sum(p.numel() for p in model.parameters()) == pytest.approx(2.1e6, rel=0.05)

    def test_project_folder_is_found_below_out(self, tiny_folder, workspace):
        shutil.copytree(tiny_folder, workspace / "models" / "vit_toy")
        encoder = encoders.load("models/vit_toy", device="cpu")
        assert encoder.identity.split("@")[0] == "vit_toy"
        assert encoder.identity.split("@")[1] == encoders.load(str(tiny_folder), "cpu").identity.split("@")[1]

    def test_identity_depends_on_weights_preprocessing_tokenizer_and_architecture(self, broken, lexicon):
        seen = {encoders.load(str(broken), "cpu").identity}
        edit_config(broken, lambda c: c["preprocess_cfg"].update(mean=[0.5, 0.5, 0.5]))
        seen.add(encoders.load(str(broken), "cpu").identity)
        edit_config(broken, lambda c: c["model_cfg"].update(quick_gelu=True))
        seen.add(encoders.load(str(broken), "cpu").identity)
        file = broken / "tokenizer.json"
        file.write_text(file.read_text().replace('"Lowercase"', '"NFKC"'))
        seen.add(encoders.load(str(broken), "cpu").identity)
        encoder = encoders.load(str(broken), "cpu")
        with torch.no_grad():
            encoder.model.visual.proj[0, 0] += 1e-3
        seen.add(encoder.identity)
        assert len(seen) == 5

    def test_half_precision_storage_is_loaded_into_float32(self, tiny_encoder, tmp_path):
        e = tiny_encoder
        folder = encoders.save(tmp_path / "half", e.model, e.model_cfg, e.preprocess_cfg, e.tokenizer, half=True)
        half = encoders.load(str(folder), "cpu")
        assert {p.dtype for p in half.model.parameters()} == {torch.float32}
        assert half.scale == e.scale
        assert (folder / weights.WEIGHTS).stat().st_size < 0.6 * sum(4 * p.numel() for p in e.model.parameters())
        images = pictures(8, 16)
        assert np.abs(half.encode_images(images) - e.encode_images(images)).max() < 2e-3  # float16 weights: 11 bits

    def test_saving_twice_gives_the_same_bytes(self, tiny_encoder, tiny_folder, tmp_path):
        e = tiny_encoder
        folder = encoders.save(tmp_path / "again", e.model, e.model_cfg, e.preprocess_cfg, e.tokenizer)
        assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in tiny_folder.iterdir())
        for path in folder.iterdir():
            assert path.read_bytes() == (tiny_folder / path.name).read_bytes(), path.name

    def test_save_refuses_parts_that_do_not_belong_together(self, tiny_encoder, tmp_path):
        e = tiny_encoder
        with pytest.raises(ValueError, match="vocab_size 99"):
            encoders.save(tmp_path, e.model, encoders.small_config(99), e.preprocess_cfg, e.tokenizer)
        with pytest.raises(ValueError, match="lacks std"):
            encoders.save(tmp_path, e.model, e.model_cfg, {"mean": [0, 0, 0]}, e.tokenizer)
        with torch.no_grad():
            e.model.visual.proj[0, 0] = float("nan")
        with pytest.raises(ValueError, match="visual.proj holds NaN"):
            encoders.save(tmp_path, e.model, e.model_cfg, e.preprocess_cfg, e.tokenizer)

    def test_global_random_state_is_untouched(self):
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        config = encoders.small_config(300, size=16, width=32, layers=1, text_layers=1)
        first, second = encoders.create(config, 1), encoders.create(config, 1)
        assert torch.equal(torch.rand(3), expected)
        assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values()))


class TestRefusals:
    def test_unknown_name_lists_what_exists(self, tiny_folder, workspace):
        shutil.copytree(tiny_folder, workspace / "models" / "vit_toy")
        with pytest.raises(ValueError, match=r"models/vit_tou.*vit_toy.*ViT-B-16-quickgelu/openai"):
            encoders.load("models/vit_tou")

    def test_wrong_activation_names_the_right_model(self):
        with pytest.raises(ValueError, match="write 'ViT-B-16-quickgelu/openai'"):
            encoders.load("ViT-B-16/openai")
        with pytest.raises(ValueError, match="write 'ViT-B-16/laion400m_e31'"):
            encoders.load("ViT-B-16-quickgelu/laion400m_e31")

    def test_unknown_tag_lists_the_tags(self):
        with pytest.raises(ValueError, match="ViT-B-16 has no tag 'opnai'.*openai"):
            encoders.load("ViT-B-16/opnai")

    def test_weights_by_path_are_refused(self, tiny_folder):
        for name in ("ViT-B-16/somewhere/model.pt", "ViT-B-16/model.safetensors", str(tiny_folder / weights.WEIGHTS)):
            with pytest.raises(ValueError, match="weights by path"):
                encoders.load(name)

    def test_random_weights_need_a_plain_architecture(self):
        for name in ("xlm-roberta-base-ViT-B-32/random:0", "ViT-B-16-SigLIP/random:0"):
            with pytest.raises(ValueError, match="plain CLIP"):
                encoders.load(name)

    def test_device_and_precision(self, tiny_folder):
        if not torch.cuda.is_available():
            with pytest.raises(ValueError, match="no GPU"):
                encoders.load(str(tiny_folder), device="cuda")
        with pytest.raises(ValueError, match="float32 or bf16"):
            encoders.load(str(tiny_folder), device="cpu", precision="fp16")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: c.pop("preprocess_cfg"), "no preprocess_cfg with mean and std"),
            (lambda c: c["preprocess_cfg"].pop("std"), "no preprocess_cfg with std"),
            (lambda c: c["model_cfg"]["text_cfg"].pop("hf_tokenizer_name"), "no hf_tokenizer_name"),
            (lambda c: c["model_cfg"]["text_cfg"].update(hf_tokenizer_name=""), "no hf_tokenizer_name"),
            (lambda c: c["model_cfg"]["vision_cfg"].update(layers=3), "weights do not fit"),
            (lambda c: c.pop("model_cfg"), "cannot be read as an open_clip config"),
        ],
    )
    def test_incomplete_config(self, broken, change, message):
        edit_config(broken, change)
        with pytest.raises(ValueError, match=message) as caught:
            encoders.load(str(broken))
        assert "\n" not in str(caught.value) and str(broken) in str(caught.value)

    def test_missing_files(self, broken):
        (broken / "tokenizer.json").rename(broken / "tokenizer.txt")
        with pytest.raises(ValueError, match="no tokenizer files"):
            encoders.load(str(broken))
        (broken / "tokenizer.txt").rename(broken / "tokenizer.json")
        (broken / weights.WEIGHTS).unlink()
        with pytest.raises(ValueError, match="no weights"):
            encoders.load(str(broken))
        (broken / weights.CONFIG).unlink()
        with pytest.raises(ValueError, match="not an open_clip directory"):
            encoders.load(str(broken))

    @pytest.mark.parametrize("size", [0, 5, 300, 20_000])
    def test_truncated_weights(self, broken, size):
        file = broken / weights.WEIGHTS
        file.write_bytes(file.read_bytes()[:size])
        with pytest.raises(ValueError, match=rf"{weights.WEIGHTS} is damaged: {size:,} bytes") as caught:
            encoders.load(str(broken))
        assert "\n" not in str(caught.value)

    def test_damaged_project_model_names_both_cures(self, broken, monkeypatch, workspace):
        model = shutil.copytree(broken, workspace / "models" / "vit_base")
        monkeypatch.setattr("lib.ROOT", workspace)
        (model / weights.WEIGHTS).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
        with pytest.raises(ValueError, match="git checkout -- models/vit_base.*dvc repro base-vit_base"):
            encoders.load("models/vit_base")

    def test_tokenizer_of_another_model(self, broken, lexicon):
        text.build_tokenizer([*lexicon, "many other words make more ids " * 3], 600).save_pretrained(broken)
        with pytest.raises(ValueError, match="the tokenizer has id"):
            encoders.load(str(broken))

    def test_weights_that_are_not_finite(self, broken):
        from safetensors.torch import load_file, save_file

        tensors = load_file(broken / weights.WEIGHTS)
        tensors["ln_final.weight"][3] = float("inf")
        save_file(tensors, broken / weights.WEIGHTS)
        with pytest.raises(ValueError, match="first in ln_final.weight"):
            encoders.load(str(broken))


class TestHub:
    @pytest.fixture
    def mirror(self, tiny_folder, tmp_path, monkeypatch):
        """A mirror that holds the repository org/tiny as the Hugging Face cache lays it out."""
        repository = tmp_path / "mirror" / "hub" / "models--org--tiny"
        shutil.copytree(tiny_folder, repository / "snapshots" / ("a" * 40))
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("a" * 40)
        (repository / ".no_exist" / ("a" * 40)).mkdir(parents=True)  # the cache notes what a repository lacks
        (repository / ".no_exist" / ("a" * 40) / "config.json").touch()
        monkeypatch.setenv("WORKBOOK_MIRROR", str(tmp_path / "mirror"))
        snapshot = repository / "snapshots" / ("a" * 40)
        edit_config(snapshot, lambda c: c["model_cfg"]["text_cfg"].update(hf_tokenizer_name="org/tiny"))
        return snapshot

    def test_repository_is_read_from_the_mirror(self, mirror, tiny_encoder):
        encoder = encoders.load("hf-hub:org/tiny", device="cpu")
        assert encoder.name == "hf-hub:org/tiny" and "org/tiny" in encoder.licence
        images = pictures(3, 16)
        assert np.array_equal(encoder.encode_images(images), tiny_encoder.encode_images(images))
        assert encoder.identity.split("@")[1] == tiny_encoder.identity.split("@")[1]

    def test_repository_without_preprocessing_is_refused(self, mirror):
        edit_config(mirror, lambda c: c.pop("preprocess_cfg"))
        with pytest.raises(ValueError, match="hf-hub:org/tiny has no preprocess_cfg"):
            encoders.load("hf-hub:org/tiny")

    def test_what_the_mirror_lacks_is_named_at_once(self, mirror):
        for name in ("hf-hub:org/other", "ViT-B-16-quickgelu/openai"):
            with pytest.raises(OSError, match=f"'{name}' is not in .*mirror/hub.*WORKBOOK_MIRROR"):
                encoders.load(name, device="cpu")


class TestPixels:
    def test_fast_path_equals_the_models_preprocessing(self, tiny_encoder):
        images = pictures(5, 16)
        plain = torch.stack([tiny_encoder.preprocess(Image.fromarray(image)) for image in images])
        assert torch.allclose(tiny_encoder.pixels(images), plain, atol=1e-6)
        assert torch.allclose(tiny_encoder.pixels([Image.fromarray(image) for image in images]), plain, atol=1e-6)

    def test_other_sizes_are_resized_and_cropped(self, tiny_encoder):
        images = pictures(2, 24, 40)
        plain = torch.stack([tiny_encoder.preprocess(Image.fromarray(image)) for image in images])
        assert torch.equal(tiny_encoder.pixels(images), plain) and plain.shape == (2, 3, 16, 16)
        mixed = [Image.fromarray(images[0]), pictures(1, 16)[0], Image.new("L", (16, 16), 40)]
        assert tiny_encoder.pixels(mixed).shape == (3, 3, 16, 16)

    def test_memory_map_and_empty_input(self, tiny_encoder, tmp_path):
        np.save(tmp_path / "image.npy", pictures(4, 16))
        mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
        assert torch.equal(tiny_encoder.pixels(mapped), tiny_encoder.pixels(np.array(mapped)))
        assert tiny_encoder.pixels(mapped[:0]).shape == (0, 3, 16, 16)
        assert tiny_encoder.encode_images([]).shape == (0, 32)

    @pytest.mark.parametrize("bad", [np.zeros((1, 16, 16, 3)), np.zeros((16, 16, 3), np.uint8), "image.png"])
    def test_wrong_input(self, tiny_encoder, bad):
        with pytest.raises(ValueError, match="images must be"):
            tiny_encoder.pixels(bad)


class TestEncode:
    def test_batches_do_not_matter(self, tiny_encoder):
        images, sentences = pictures(7, 16), ["red cup", "a blue star left of the gear", "", "cup " * 30]
        whole = tiny_encoder.encode_images(images)
        single = np.concatenate([tiny_encoder.encode_images(images[i : i + 1]) for i in range(7)])
        assert np.abs(whole - single).max() < 1e-5
        assert np.abs(whole - tiny_encoder.encode_images(images, batch_size=3)).max() < 1e-5
        whole = tiny_encoder.encode_texts(sentences)
        single = np.concatenate([tiny_encoder.encode_texts([sentence]) for sentence in sentences])
        assert np.abs(whole - single).max() < 1e-5
        assert np.abs(whole - tiny_encoder.encode_texts(sentences, batch_size=3)).max() < 1e-5

    def test_features_are_those_of_the_plain_model(self, tiny_encoder):
        images, sentences = pictures(3, 16), ["red cup", "a blue star left of the gear and more of it", "red cup"]
        with torch.no_grad():
            plain = tiny_encoder.model.encode_image(tiny_encoder.pixels(images), normalize=True).numpy()
            plain_text = tiny_encoder.model.encode_text(tiny_encoder.tokenizer(sentences), normalize=True).numpy()
        assert np.abs(tiny_encoder.encode_images(images) - plain).max() < 1e-6
        assert np.abs(tiny_encoder.encode_texts(sentences) - plain_text).max() < 1e-6

    def test_rows_are_float32_and_unit_only_on_request(self, tiny_encoder):
        images = pictures(4, 16)
        unit, raw = tiny_encoder.encode_images(images), tiny_encoder.encode_images(images, normalize=False)
        assert unit.dtype == raw.dtype == np.float32
        assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
        assert np.allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), unit, atol=1e-6)
        raw = tiny_encoder.encode_texts(["red cup"], normalize=False)
        assert np.allclose(raw / np.linalg.norm(raw), tiny_encoder.encode_texts(["red cup"]), atol=1e-6)

    def test_equal_texts_are_encoded_once_and_the_order_is_kept(self, tiny_encoder, monkeypatch):
        seen = []
        original = tiny_encoder._encode_tokens
        monkeypatch.setattr(tiny_encoder, "_encode_tokens", lambda tokens: seen.append(len(tokens)) or original(tokens))
        sentences = ["red cup", "a blue star left of the gear", "red cup", "pink die", "red cup"]
        rows = tiny_encoder.encode_texts(sentences, batch_size=2)
        assert seen == [2, 1]
        assert np.array_equal(rows[0], rows[2]) and np.array_equal(rows[0], rows[4])
        assert np.abs(rows[1] - tiny_encoder.encode_texts([sentences[1]])[0]).max() < 1e-6
        assert tiny_encoder.encode_texts([]).shape == (0, 32)

    def test_padding_is_left_out_only_under_a_causal_mask(self, tiny_encoder):
        tokens = tiny_encoder.tokenizer(["red cup", "a blue star"])
        copy = tiny_encoder.copy()
        copy.model.attn_mask = None  # two-sided attention sees the padding
        with torch.no_grad():
            plain = copy.model.encode_text(tokens, normalize=True).numpy()
        assert np.abs(copy.encode_texts(["red cup", "a blue star"]) - plain).max() < 1e-6
        assert np.abs(tiny_encoder.encode_texts(["red cup", "a blue star"]) - plain).max() > 1e-4

    def test_pooling_takes_the_end_token(self, tiny_encoder):
        """What stands behind the end token changes nothing; what stands before it does."""
        tokens = tiny_encoder.tokenizer(["red cup"])
        behind, before = tokens.clone(), tokens.clone()
        behind[0, 8], before[0, 2] = 77, 77
        with torch.no_grad():
            plain, later, other = (tiny_encoder.model.encode_text(t) for t in (tokens, behind, before))
        assert torch.allclose(plain, later, atol=1e-6) and not torch.allclose(plain, other, atol=1e-3)

    def test_a_single_str_is_no_list(self, tiny_encoder):
        for bad in ("red cup", ["red", 3]):
            with pytest.raises(ValueError, match="list of str"):
                tiny_encoder.encode_texts(bad)

    def test_bf16_stays_within_tolerance(self, tiny_folder, tiny_encoder):
        """bfloat16 has 8 bits: unit rows agree with float32 to 0.02 an entry, 0.999 in cosine, and stay float32."""
        images, sentences = pictures(6, 16), ["red cup", "a blue star left of the gear"]
        half = encoders.load(str(tiny_folder), "cpu", precision="bf16")
        for ours, exact in (
            (half.encode_images(images), tiny_encoder.encode_images(images)),
            (half.encode_texts(sentences), tiny_encoder.encode_texts(sentences)),
        ):
            assert ours.dtype == np.float32 and 0 < np.abs(ours - exact).max() < 0.02
            assert (ours * exact).sum(axis=1).min() > 0.999
        assert np.array_equal(half.encode_images(images, precision="float32"), tiny_encoder.encode_images(images))


class TestCopy:
    def test_copy_trains_and_leaves_the_original_alone(self, tiny_encoder):
        before, images = tiny_encoder.identity, pictures(4, 16)
        features = tiny_encoder.encode_images(images)
        copy = tiny_encoder.copy()
        assert copy.identity == before and not copy.frozen and tiny_encoder.frozen
        optimiser = torch.optim.AdamW(copy.model.parameters(), lr=1e-2)
        loss = copy.model.encode_image(copy.pixels(images)).square().sum()
        loss = loss + copy.model.encode_text(copy.tokenizer(["red cup"])).square().sum() + copy.model.logit_scale
        loss.backward()
        assert all(p.grad is not None for p in copy.model.parameters())
        optimiser.step()
        assert copy.identity != before and tiny_encoder.identity == before
        assert np.array_equal(tiny_encoder.encode_images(images), features)
        assert np.abs(copy.encode_images(images) - features).max() > 1e-3

    def test_encoding_restores_training_mode_and_takes_no_gradient(self, tiny_encoder):
        copy = tiny_encoder.copy()
        copy.model.train()
        copy.encode_images(pictures(2, 16))
        assert copy.model.training and copy.model.visual.training and torch.is_grad_enabled()


class TestVitB16:
    def test_real_architecture(self, vit_b16):
        assert (vit_b16.dim, vit_b16.image_size, vit_b16.context) == (512, 224, 77)
        assert vit_b16.name == "ViT-B-16/random:0" and vit_b16.identity.startswith("ViT-B-16/random:0@")
        rows = vit_b16.encode_images(pictures(2, 300, 260))
        assert rows.shape == (2, 512) and np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)

    def test_text_without_padding_equals_the_plain_model(self, vit_b16):
        sentences = ["a photo of a cat.", "", "two dogs " * 50]
        with torch.no_grad():
            plain = vit_b16.model.encode_text(vit_b16.tokenizer(sentences), normalize=True).numpy()
        assert np.abs(vit_b16.encode_texts(sentences) - plain).max() < 1e-5

    def test_clip_tokenizer_gives_the_known_ids(self, vit_b16):
        ids = vit_b16.tokenizer(["a photo of a cat."])[0, :8].tolist()
        assert ids == [49406, 320, 1125, 539, 320, 2368, 269, 49407]

    @pytest.mark.slow
    def test_same_seed_same_weights(self, vit_b16):
        assert encoders.load("ViT-B-16/random:0", device="cpu").identity == vit_b16.identity
        assert encoders.load("ViT-B-16/random:1", device="cpu").identity.split("@")[1] != vit_b16.identity.split("@")[1]
