package dropout_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"dropoutd/dropout"
	pb "dropoutd/dropoutpb"
)

// object is a message in protobuf's JSON form with the proto's field names.
type object = map[string]any

func messageObject(message proto.Message) object {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(message)
	var result object
	if err == nil {
		err = json.Unmarshal(text, &result)
	}
	if err != nil {
		panic(err)
	}
	return result
}

var codeNames = map[string]string{"InvalidArgument": "INVALID_ARGUMENT", "NotFound": "NOT_FOUND",
	"AlreadyExists": "ALREADY_EXISTS", "Unimplemented": "UNIMPLEMENTED",
	"ResourceExhausted": "RESOURCE_EXHAUSTED", "Unavailable": "UNAVAILABLE"}

func errorObject(err error) object {
	var e *dropout.Error
	if !errors.As(err, &e) {
		return object{"code": err.Error()}
	}
	return object{"code": codeNames[e.Code.String()], "reason": e.Reason}
}

func decode(text any) []byte {
	encoded, _ := text.(string)
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		panic(err)
	}
	return data
}

func elementSize(dtype any) int {
	switch dtype {
	case "DATA_TYPE_FLOAT64":
		return 8
	case "DATA_TYPE_FLOAT32":
		return 4
	}
	return 2
}

// expanded is the request with `repeat` written out.
func expanded(request object) object {
	result := object{}
	for name, value := range request {
		tensor, ok := value.(object)
		if ok && tensor["repeat"] != nil {
			size := elementSize(tensor["dtype"])
			for _, n := range tensor["shape"].([]any) {
				size *= int(n.(float64))
			}
			pattern := decode(tensor["repeat"])
			data := bytes.Repeat(pattern, size/len(pattern)+1)[:size]
			value = object{"dtype": tensor["dtype"], "shape": tensor["shape"],
				"data": base64.StdEncoding.EncodeToString(data)}
		}
		result[name] = value
	}
	return result
}

// difference is what is wrong with the fields that `expected` names, or "".
func difference(expected, actual any, path string) string {
	both := fmt.Sprintf("%s is %v, not %v", path, actual, expected)
	switch want := expected.(type) {
	case object:
		got, ok := actual.(object)
		if !ok {
			return both
		}
		if want["tolerance"] != nil {
			return tensorDifference(want, got, path)
		}
		for name, value := range want {
			if found := fieldDifference(name, value, got, path); found != "" {
				return found
			}
		}
		return ""
	case []any:
		got, ok := actual.([]any)
		if !ok || len(got) != len(want) {
			return both
		}
		for i := range want {
			if found := difference(want[i], got[i], fmt.Sprintf("%s[%d]", path, i)); found != "" {
				return found
			}
		}
		return ""
	case float64:
		// Numbers of 64 bits are strings in protobuf's JSON, and so are infinities.
		got, ok := actual.(float64)
		if text, isText := actual.(string); isText {
			number, err := strconv.ParseFloat(text, 64)
			got, ok = number, err == nil
		}
		if !ok || got != want {
			return both
		}
		return ""
	}
	if !reflect.DeepEqual(expected, actual) {
		return both
	}
	return ""
}

func fieldDifference(name string, value any, actual object, path string) string {
	field := strings.TrimSuffix(name, "_sha256")
	if field == name {
		return difference(value, actual[name], path+"."+name)
	}
	digest := sha256.Sum256(decode(actual[field]))
	if text := hex.EncodeToString(digest[:]); text != value {
		return fmt.Sprintf("%s.%s has the SHA-256 %s, not %v", path, field, text, value)
	}
	return ""
}

func tensorDifference(expected, actual object, path string) string {
	for _, name := range []string{"dtype", "shape"} {
		if found := difference(expected[name], actual[name], path+"."+name); found != "" {
			return found
		}
	}
	want, got := elementsOf(expected), elementsOf(actual)
	if len(want) != len(got) {
		return fmt.Sprintf("%s has %d elements, not %d", path, len(got), len(want))
	}
	for i := range want {
		allowed := expected["tolerance"].(float64) * math.Max(1, math.Abs(want[i]))
		if !(math.Abs(want[i]-got[i]) <= allowed) {
			return fmt.Sprintf("%s: element %d is %v, not %v", path, i, got[i], want[i])
		}
	}
	return ""
}

func elementsOf(tensor object) []float64 {
	message := parse(object{"dtype": tensor["dtype"], "data": tensor["data"]}, &pb.Tensor{})
	if values, err := dropout.Elements[float64](message); err == nil {
		return values
	}
	singles, err := dropout.Elements[float32](message)
	if err != nil {
		panic(err)
	}
	var values []float64
	for _, value := range singles {
		values = append(values, float64(value))
	}
	return values
}

func TestTheComparisonFindsDifferences(t *testing.T) {
	expected := object{"scale": 2.0, "shape": []any{2.0, 3.0}, "bits": "AA=="}
	equal := object{"scale": 2.0, "shape": []any{"2", "3"}, "bits": "AA==", "p": 1.0}
	if found := difference(expected, equal, ""); found != "" {
		t.Error(found)
	}
	for name, value := range map[string]any{"scale": 3.0, "shape": []any{3.0, 2.0}, "bits": nil} {
		actual := object{"scale": 2.0, "shape": []any{"2", "3"}, "bits": "AA=="}
		actual[name] = value
		if difference(expected, actual, "") == "" {
			t.Errorf("%s: no difference", name)
		}
	}
}
