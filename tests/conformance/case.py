"""Builds one conformance case, call by call, with the answers the reference gives."""

import answers

TRAIN, EVAL = "MODE_TRAIN", "MODE_EVAL"


def layer(layer_id, p, variant=None, **fields):
    """A Layer; variant is the name and options of the oneof's field, dropout by default."""
    name, options = variant or ("dropout", {})
    return {"layer_id": layer_id, "p": p, **fields, name: options}


def dropout(layer_id, p, axes=(), **fields):
    options = {"broadcast_axes": list(axes)} if axes else {}
    return layer(layer_id, p, ("dropout", options), **fields)


def text(value):
    """An int64 or uint64 in protobuf's JSON form."""
    return str(value)


class Case:
    """A session and its calls. Methods append a call; requests name no session."""

    def __init__(self, name, seed=1, layers=(), needs=None, **session):
        self.name, self.seed = name, seed
        self.needs = needs
        self.session = {"seed": text(seed), "layers": list(layers), **session}
        self.calls = []

    def json(self):
        fields = {"name": self.name}
        if self.needs:
            fields["needs"] = self.needs
        return {**fields, "session": self.session, "calls": self.calls}

    def call(self, rpc, request=None, response=None):
        entry = {"rpc": rpc, "request": request or {}}
        if response is not None:
            entry["response"] = response
        self.calls.append(entry)
        return self

    def error(self, rpc, request, code, reason):
        self.calls.append({"rpc": rpc, "request": request,
                           "error": {"code": code, "reason": reason}})
        return self

    # --- Tensors through a layer ----------------------------------------------------------

    def forward(self, place, tensor, mask, p, mode=TRAIN):
        """A Forward at `place` (step_place) that must give the mask's result."""
        request = {**place, "input": tensor.request(), "return_mask": True}
        return self.call("Forward", request, {
            "output": mask.applied_to(tensor).response(), "mask": mask.response(), "mode": mode,
            "p": p})

    def backward(self, place, tensor, mask, **fields):
        request = {**place, "output_gradient": tensor.request(), **fields}
        return self.call("Backward", request,
                         {"input_gradient": mask.applied_to(tensor).response()})

    def mask(self, place, shape, mask):
        """shape None: that of the step's Forward."""
        request = dict(place) if shape is None else {**place, "shape": list(shape)}
        return self.call("GetMask", request, mask.response())

    def eval_forward(self, place, tensor, p, factor=1.0):
        kept = answers.all_kept(tensor.shape, factor)
        return self.forward(place, tensor, kept, p, mode=EVAL)

    def set_mode(self, mode, layer_ids=(), answered=None):
        request = {"mode": mode, **({"layer_ids": list(layer_ids)} if layer_ids else {})}
        response = None if answered is None else {"layer_ids": list(answered), "mode": mode}
        return self.call("SetMode", request, response)


def place(layer_id, step=None, sample_offset=0, sequence_id=None):
    """Which mask: the fields that Forward, Backward and GetMask share."""
    fields = {"layer_id": layer_id}
    if step is not None:
        fields["step"] = text(step)
    if sample_offset:
        fields["sample_offset"] = text(sample_offset)
    if sequence_id is not None:
        fields["sequence_id"] = text(sequence_id)
    return fields
