// The contract as data.
#ifndef DROPOUTD_SERVER_SERVICE_DESCRIPTOR_H_
#define DROPOUTD_SERVER_SERVICE_DESCRIPTOR_H_

#include <google/protobuf/descriptor.h>

namespace dropoutd {

// The service's RPCs. Lives for ever.
const google::protobuf::ServiceDescriptor& ContractService();

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_DESCRIPTOR_H_
